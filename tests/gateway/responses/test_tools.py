"""The Responses API: formats and function calls."""

from __future__ import annotations

import json
import re
from typing import Any

import openai
import pydantic
import pytest
from tests.gateway.responses.ask import NOW, WEATHER


class City(pydantic.BaseModel):
    city: str
    people: int


def test_parse(client: openai.OpenAI) -> None:
    """The SDK's pydantic helper, whole and streamed."""
    answer = client.responses.parse(model="paris", input="Which?", text_format=City)
    assert answer.output_parsed == City(city="Paris", people=2)
    with client.responses.stream(model="paris", input="Which?", text_format=City) as stream:
        assert stream.get_final_response().output_parsed == City(city="Paris", people=2)


def test_formats_are_enforced(client: openai.OpenAI) -> None:
    """The schema reaches the engine, whose answer to one is its text."""
    form: Any = {"type": "json_schema", "name": "a", "schema": {"title": "Mine"}}
    answer = client.responses.create(model="held", input="Hi", text={"format": form})
    assert json.loads(answer.output_text) == {"title": "Mine"}
    held: Any = {"format": {"type": "json_object"}}
    assert client.responses.create(model="held", input="Hi", text=held).output_text == "{}"
    extra = {"structured_outputs": {"regex": "a+"}}
    answer = client.responses.create(model="held", input="Hi", extra_body=extra)
    assert answer.output_text == "a+"
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(model="echo", input="Hi", text={"format": form})
    assert (caught.value.code, caught.value.param) == ("unsupported_parameter", "text.format")


def test_function_calling(client: openai.OpenAI) -> None:
    """A call, its result with `previous_response_id`, and the model sees all of it."""
    first = client.responses.create(model="caller", input="Is it warm?", tools=[WEATHER, NOW])
    message, call, other = first.output
    assert message.type == "message"
    assert call.type == other.type == "function_call"
    assert (call.name, json.loads(call.arguments)) == ("get_weather", {"city": "Oslo"})
    results: Any = [
        {"type": "function_call_output", "call_id": call.call_id, "output": "warm"},
        {
            "type": "function_call_output",
            "call_id": other.call_id,
            "output": [{"type": "input_text", "text": "noon"}],
        },
    ]
    answer = client.responses.create(
        model="echo", input=results, previous_response_id=first.id, tools=[WEATHER]
    )
    again = client.responses.create(
        model="echo",
        input=[{"role": "user", "content": "Is it warm?"}, *first.output, *results],
        tools=[WEATHER],
    )
    alone = client.responses.create(model="echo", input="Is it warm?", tools=[WEATHER])
    assert answer.usage is not None
    assert again.usage is not None
    assert alone.usage is not None
    assert answer.usage.input_tokens == again.usage.input_tokens
    assert answer.usage.input_tokens > alone.usage.input_tokens + 100


def test_calls_in_a_stream(client: openai.OpenAI) -> None:
    """The helper's events and its final response have the parsed arguments."""
    with client.responses.stream(model="caller", input="Hi", tools=[WEATHER, NOW]) as stream:
        done = [e.arguments for e in stream if e.type == "response.function_call_arguments.done"]
        final = stream.get_final_response()
    assert done == ['{"city": "Oslo"}', "{}"]
    assert [item.type for item in final.output] == ["message", "function_call", "function_call"]


def test_calls_are_enforced(client: openai.OpenAI) -> None:
    """required, named, allowed and strict hold the answer by a grammar."""

    def grammar(**options: Any) -> str:
        given = {"tools": [WEATHER, NOW]} | options
        return client.responses.create(model="held", input="Hi", **given).output_text

    required = grammar(tool_choice="required")
    assert re.search(r"^start: +calls$", required, re.M)
    assert "get_weather" in required
    named = grammar(tool_choice={"type": "function", "name": "now"})
    assert "get_weather" not in named
    tools = [{"type": "function", "name": "now"}]
    allowed = grammar(tool_choice={"type": "allowed_tools", "mode": "required", "tools": tools})
    assert "get_weather" not in allowed
    assert grammar(tools=[WEATHER], tool_choice="none") == "Hi"
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(model="echo", input="Hi", tools=[WEATHER], tool_choice="required")
    assert caught.value.param == "tools"
