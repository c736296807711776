"""LlamaIndex's generic OpenAI client on the server that test_clients.py started."""

from __future__ import annotations

import os
from typing import Any

import pytest
from llama_index.llms.openai_like import OpenAILike

URL = os.environ["TRICORN_URL"] + "/v1"


def language_model(name: str, **options: Any) -> OpenAILike:
    given = {
        "model": os.environ[name],
        "api_base": URL,
        "api_key": "none",
        "is_chat_model": True,
        "is_function_calling_model": True,
        "context_window": 8192,
        "max_retries": 0,
        "temperature": 0,
    }
    return OpenAILike(**given | options)


@pytest.fixture
def smollm() -> OpenAILike:
    return language_model("TRICORN_MODEL", max_tokens=40)


@pytest.fixture
def scripted() -> OpenAILike:
    """Answers with the words of the last message."""
    return language_model("TRICORN_SCRIPTED")
