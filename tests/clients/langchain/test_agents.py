"""LangChain with a scripted model: calls, their results and thoughts, whole and in streams."""

from __future__ import annotations

import os
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

CALL = '<tool_call>{"name": "temperature", "arguments": {"city": "Oslo"}}</tool_call>'


@tool
def temperature(city: str) -> str:
    """Tells how warm it is."""
    return f"{len(city)} degrees in {city}"


def chat(name: str, **options: Any) -> ChatOpenAI:
    return ChatOpenAI(
        model=os.environ[name],
        base_url=os.environ["TRICORN_URL"] + "/v1",
        api_key="none",
        max_retries=0,
        **options,
    )


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("responses", [False, True])
def test_a_round_trip(responses: bool, strict: bool, streaming: bool) -> None:
    """The model calls, the tool answers, the model says what it heard; by both of OpenAI's APIs."""
    bare = chat("TRICORN_SCRIPTED", streaming=streaming, use_responses_api=responses)
    model = bare.bind_tools([temperature], strict=strict)
    question = HumanMessage(CALL)
    call = model.invoke([question])
    assert isinstance(call, AIMessage)
    assert [(c["name"], c["args"]) for c in call.tool_calls] == [("temperature", {"city": "Oslo"})]
    assert not call.text
    result = temperature.invoke(call.tool_calls[0])
    assert isinstance(result, ToolMessage)
    answer = model.invoke([question, call, result])
    assert answer.text == "4 degrees in Oslo"


def test_thoughts_stay_out_of_the_answer() -> None:
    """What a model thinks is no part of its content."""
    assert chat("TRICORN_THINKER").invoke("Name a river.").content == "The Seine."


def test_log_probabilities() -> None:
    """They stand in response_metadata."""
    model = chat("TRICORN_MODEL", temperature=0, max_tokens=5).bind(logprobs=True, top_logprobs=2)
    logprobs = model.invoke("What is the capital of France?").response_metadata["logprobs"]
    assert len(logprobs["content"]) == 5
    assert all(len(entry["top_logprobs"]) == 2 for entry in logprobs["content"])
