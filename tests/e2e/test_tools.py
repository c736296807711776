"""Tools with SmolLM2, which has never seen one: what it must, it can."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from tests.e2e.server import MODEL, user

WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Tells the weather in a city.",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "maxLength": 20},
                "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
                "days": {"type": "integer", "minimum": 1, "maximum": 7},
            },
            "required": ["city", "unit"],
            "additionalProperties": False,
        },
        "strict": True,
    },
}
NOW: Any = {"type": "function", "function": {"name": "current_time"}}

pytestmark = pytest.mark.timeout(180)
ASKED = user("What is the weather like in Paris, in celsius?")


def check(call: Any) -> None:
    """A call of the weather fits its schema."""
    arguments = json.loads(call.function.arguments)
    assert {"city", "unit"} <= set(arguments) <= {"city", "unit", "days"}
    assert arguments["unit"] in ("celsius", "fahrenheit")
    assert 0 < len(arguments["city"]) <= 20


def named(name: str) -> Any:
    return {"type": "function", "function": {"name": name}}


@pytest.mark.parametrize("temperature", [0, 1])
@pytest.mark.parametrize("choice", ["required", named("get_weather")])
def test_a_demanded_call_is_valid(client: openai.OpenAI, choice: Any, temperature: float) -> None:
    """required and named: calls and nothing else, whose arguments fit the schema."""
    answer = client.chat.completions.create(
        model=MODEL, messages=ASKED, tools=[WEATHER], tool_choice=choice, max_tokens=400,
        temperature=temperature, seed=5, parallel_tool_calls=False,
    )  # fmt: skip
    [found] = answer.choices

    assert found.finish_reason == "tool_calls"
    assert found.message.content is None
    [call] = found.message.tool_calls or []
    assert call.type == "function"
    check(call)


def test_a_demanded_call_streams(client: openai.OpenAI) -> None:
    """The same in pieces: the stream helper gets a call that its own model accepts."""
    with client.chat.completions.stream(
        model=MODEL, messages=ASKED, tools=[WEATHER], tool_choice="required", max_tokens=400,
        temperature=0, parallel_tool_calls=False,
    ) as stream:  # fmt: skip
        [found] = stream.get_final_completion().choices

    assert found.finish_reason == "tool_calls"
    [call] = found.message.tool_calls or []
    check(call)


def test_the_result_goes_back(client: openai.OpenAI) -> None:
    """A call and its result as OpenAI's clients send them are a prompt like any other."""
    call = {
        "id": "call_1",
        "type": "function",
        "function": {"name": "get_weather", "arguments": '{"city": "Paris", "unit": "celsius"}'},
    }
    answer = client.chat.completions.create(
        model=MODEL,
        messages=[
            *ASKED,
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "call_1", "content": "21 degrees and sunny"},
        ],
        tools=[WEATHER, NOW],
        temperature=0,
        max_tokens=60,
    )
    [found] = answer.choices
    assert found.message.content or found.message.tool_calls


def test_a_choice_of_its_own_is_valid_too(client: openai.OpenAI) -> None:
    """auto: text or calls, several sequences; whatever is a call fits."""
    answer = client.chat.completions.create(
        model=MODEL, messages=ASKED, tools=[WEATHER], max_tokens=150, n=4, seed=1,
    )  # fmt: skip
    for found in answer.choices:
        assert found.finish_reason in ("stop", "length", "tool_calls")
        assert "tool_call" not in (found.message.content or "")
        if found.finish_reason == "tool_calls":
            for call in found.message.tool_calls or []:
                check(call)


def test_cut_by_max_tokens(client: openai.OpenAI) -> None:
    """An unfinished call never claims to be one."""
    answer = client.chat.completions.create(
        model=MODEL, messages=ASKED, tools=[WEATHER], tool_choice="required", max_tokens=20,
        temperature=0,
    )  # fmt: skip
    assert answer.choices[0].finish_reason == "length"


def test_a_call_or_a_schema(client: openai.OpenAI) -> None:
    """tools and response_format: the answer is a call, or JSON of the schema."""
    schema = {
        "type": "object",
        "properties": {"answer": {"type": "string", "maxLength": 30}},
        "required": ["answer"],
        "additionalProperties": False,
    }
    form: Any = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}
    [found] = client.chat.completions.create(
        model=MODEL, messages=ASKED, tools=[WEATHER], response_format=form, max_tokens=200,
        temperature=0,
    ).choices  # fmt: skip
    if found.message.tool_calls:
        check(found.message.tool_calls[0])
    else:
        assert set(json.loads(found.message.content or "")) == {"answer"}


def test_a_schema_that_cannot_be_enforced(client: openai.OpenAI) -> None:
    """A strict tool with a keyword that the grammar does not know: 400, not a guess."""
    function = WEATHER["function"] | {
        "parameters": {"type": "object", "properties": {"a": {"not": {"type": "string"}}}}
    }
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(
            model=MODEL, messages=ASKED, tools=[{"type": "function", "function": function}],
        )  # fmt: skip
    assert caught.value.param == "tools"
