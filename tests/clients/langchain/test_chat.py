"""LangChain's own standard tests of chat models, over HTTP, with SmolLM2."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_openai import ChatOpenAI
from langchain_tests.integration_tests import ChatModelIntegrationTests


class OneCallAtATime(ChatOpenAI):
    """A model of 135 million parameters that may call several tools repeats its call to the end."""

    def bind_tools(self, tools: Sequence[Any], *, tool_choice: Any = None, **options: Any) -> Any:
        options.setdefault("parallel_tool_calls", False)
        return super().bind_tools(tools, tool_choice=tool_choice, **options)


class TestChat(ChatModelIntegrationTests):
    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return OneCallAtATime

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {
            "model": os.environ["TRICORN_MODEL"],
            "base_url": os.environ["TRICORN_URL"] + "/v1",
            "api_key": "none",
            "temperature": 0,
            "max_tokens": 200,
            "frequency_penalty": 1.0,  # it also tells its jokes in circles
            "stream_usage": True,  # with a base_url LangChain asks for it only when told to
            "max_retries": 0,
        }

    @property
    def supports_json_mode(self) -> bool:
        return True

    @property
    def model_override_value(self) -> str:
        return os.environ["TRICORN_MODEL"]

    @pytest.mark.xfail(reason="SmolLM2 hardly ever decides to call a tool")
    def test_agent_loop(self, model: BaseChatModel) -> None:
        super().test_agent_loop(model)

    @pytest.mark.xfail(reason="SmolLM2 forgets a field that only the prompt asks for")
    def test_json_mode(self, model: BaseChatModel) -> None:
        super().test_json_mode(model)
