"""Tools with models that know none: what is demanded comes, whatever the model is."""

from __future__ import annotations

import json
from typing import Any

from tests.conformance.conftest import Served

BRIDGE: Any = {
    "type": "function",
    "function": {
        "name": "find_bridge",
        "description": "Finds a bridge.",
        "parameters": {
            "type": "object",
            "properties": {
                "kind": {"type": "string", "enum": ["stone", "steel"]},
                "arches": {"type": "integer", "minimum": 1, "maximum": 9},
            },
            "required": ["kind", "arches"],
            "additionalProperties": False,
        },
        "strict": True,
    },
}
NOW: Any = {"type": "function", "function": {"name": "now"}}
ASKED: Any = [{"role": "user", "content": "Find a bridge of stone."}]


def check(call: Any) -> None:
    arguments = json.loads(call.function.arguments)
    assert call.function.name == "find_bridge"
    assert set(arguments) == {"kind", "arches"}
    assert arguments["kind"] in ("stone", "steel")
    assert 1 <= arguments["arches"] <= 9


def test_required_call(served: Served) -> None:
    """Tools: a required call fits its schema"""
    answer = served.client.chat.completions.create(
        model=served.model, messages=ASKED, tools=[BRIDGE], tool_choice="required",
        parallel_tool_calls=False, temperature=0.7, seed=3, max_tokens=120,
    )  # fmt: skip
    [choice] = answer.choices
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content is None
    [call] = choice.message.tool_calls or []
    check(call)


def test_named_call_in_a_stream(served: Served) -> None:
    """Tools: a named call, streamed"""
    with served.client.chat.completions.stream(
        model=served.model, messages=ASKED, tools=[NOW, BRIDGE], temperature=0, max_tokens=120,
        tool_choice={"type": "function", "function": {"name": "find_bridge"}},
    ) as stream:  # fmt: skip
        [choice] = stream.get_final_completion().choices
    assert choice.finish_reason == "tool_calls"
    [call] = choice.message.tool_calls or []
    check(call)


def test_call_or_schema(served: Served) -> None:
    """Tools: with response_format, a call or an answer that fits"""
    schema = {
        "type": "object",
        "properties": {"old": {"type": "boolean"}},
        "required": ["old"],
        "additionalProperties": False,
    }
    form: Any = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema}}
    answer = served.client.chat.completions.create(
        model=served.model, messages=ASKED, tools=[BRIDGE], response_format=form,
        parallel_tool_calls=False, temperature=0, max_tokens=120,
    )  # fmt: skip
    message = answer.choices[0].message
    if message.tool_calls:
        check(message.tool_calls[0])
    else:
        assert set(json.loads(message.content or "")) == {"old"}
