"""Tools in a chat request: what is accepted, refused with its path, and handed on."""

from __future__ import annotations

from typing import Any

import pytest

from tricorn.chat.tools.rules import ToolRules
from tricorn.errors import InvalidRequest, RequestError
from tricorn.schemas.chat import ChatRequest

USER = {"role": "user", "content": "Hi"}
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
F: dict[str, Any] = {"type": "function", "function": {"name": "f"}}
G: dict[str, Any] = {"type": "function", "function": {"name": "g"}}


def parse(**fields: Any) -> ChatRequest:
    return ChatRequest.parse({"model": "m", "messages": [USER], **fields})[0]


def function(**fields: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": "f", **fields}}


def allowed(mode: str, *names: str) -> dict[str, Any]:
    tools = [{"type": "function", "function": {"name": name}} for name in names]
    return {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}}


def named(name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name}}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": {}}, "tools"),
        ({"tools": ["f"]}, "tools[0]"),
        ({"tools": [{"function": {"name": "f"}}]}, "tools[0].type"),
        ({"tools": [{"type": 1, "function": {}}]}, "tools[0].type"),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"tools": [F, {"type": "function", "function": {}}]}, "tools[1].function.name"),
        ({"tools": [function(name="a b")]}, "tools[0].function.name"),
        ({"tools": [function(name="x" * 65)]}, "tools[0].function.name"),
        ({"tools": [function(description=3)]}, "tools[0].function.description"),
        ({"tools": [function(parameters=[])]}, "tools[0].function.parameters"),
        ({"tools": [function(parameters={"type": "array"})]}, "tools[0].function.parameters"),
        ({"tools": [function(strict="yes")]}, "tools[0].function.strict"),
        ({"tools": [F, F]}, "tools[1].function.name"),
        ({"tools": [F] * 129}, "tools"),
        ({"tools": [F], "tool_choice": "any"}, "tool_choice"),
        ({"tools": [F], "tool_choice": 1}, "tool_choice"),
        ({"tools": [F], "tool_choice": named("g")}, "tool_choice"),
        ({"tools": [F], "tool_choice": {"type": "function"}}, "tool_choice.function"),
        (
            {"tools": [F], "tool_choice": {"type": "function", "function": {}}},
            "tool_choice.function.name",
        ),
        ({"tools": [F], "tool_choice": allowed("auto")}, "tool_choice.allowed_tools.tools"),
        ({"tools": [F], "tool_choice": allowed("none", "f")}, "tool_choice"),
        ({"tools": [F], "tool_choice": allowed("auto", "g")}, "tool_choice"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tool_choice": named("f")}, "tool_choice"),
        ({"parallel_tool_calls": "no"}, "parallel_tool_calls"),
        ({"functions": [{}]}, "functions[0].name"),
        ({"functions": [{"name": "f"}] * 2}, "functions[1].name"),
        ({"functions": [{"name": "f"}], "tools": [F]}, "functions"),
        ({"functions": [{"name": "f"}], "function_call": "required"}, "function_call"),
        ({"functions": [{"name": "f"}], "function_call": {}}, "function_call.name"),
        ({"functions": [{"name": "f"}], "function_call": {"name": "g"}}, "function_call"),
        ({"reasoning_effort": "much"}, "reasoning_effort"),
        ({"reasoning_effort": 1}, "reasoning_effort"),
        ({"reasoning_effort": "none", "enable_thinking": True}, "enable_thinking"),
        (
            {"reasoning_effort": "low", "chat_template_kwargs": {"enable_thinking": False}},
            "reasoning_effort",
        ),
    ],
)
def test_refused(fields: dict[str, Any], param: str) -> None:
    """400 that names the very field."""
    with pytest.raises(RequestError) as caught:
        parse(**fields)
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("messages", "param"),
    [
        ([{"role": "tool", "content": "x", "tool_call_id": "c1"}], "messages[0].tool_call_id"),
        (
            [
                {"role": "assistant", "tool_calls": [CALL]},
                {"role": "tool", "content": "x", "tool_call_id": "c2"},
            ],
            "messages[1].tool_call_id",
        ),
        ([{"role": "function", "content": "x", "name": "f"}], "messages[0].name"),
        ([{"role": "function", "content": "x"}], "messages[0].name"),
        ([{"role": "assistant", "function_call": {"name": "f"}}],
         "messages[0].function_call.arguments"),
    ],
)  # fmt: skip
def test_results_belong_to_calls(messages: list[dict[str, Any]], param: str) -> None:
    """A tool's message without the call that it answers is refused."""
    with pytest.raises(InvalidRequest) as caught:
        parse(messages=messages)
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("fields", "rules"),
    [
        ({}, ToolRules()),
        ({"tool_choice": "auto"}, ToolRules()),
        ({"tool_choice": "required"}, ToolRules(required=True)),
        ({"tool_choice": named("g")}, ToolRules(required=True, only=("g",), parallel=False)),
        ({"tool_choice": allowed("auto", "g")}, ToolRules(only=("g",))),
        ({"tool_choice": allowed("required", "f")}, ToolRules(required=True, only=("f",))),
        ({"parallel_tool_calls": False}, ToolRules(parallel=False)),
    ],
)
def test_choices(fields: dict[str, Any], rules: ToolRules) -> None:
    """Every way to choose becomes a rule; the model is told of all tools nevertheless."""
    prompt = parse(tools=[F, G], **fields).prompt()

    assert prompt.rules == rules
    assert [tool["function"]["name"] for tool in prompt.tools or []] == ["f", "g"]


def test_no_tools_are_offered_where_none_may_be_called() -> None:
    """tool_choice none, and lists that are empty."""
    assert parse(tools=[F], tool_choice="none").prompt().tools is None
    assert parse(tools=[], tool_choice="auto").prompt().tools is None
    assert parse(functions=[{"name": "f"}], function_call="none").prompt().tools is None


def test_the_older_form() -> None:
    """functions and function messages become tools, of which one at most is called."""
    call = {"name": "f", "arguments": "{}"}
    request = parse(
        functions=[{"name": "f", "description": "d"}],
        function_call={"name": "f"},
        messages=[
            USER,
            {"role": "assistant", "content": None, "function_call": call},
            {"role": "function", "name": "f", "content": "r"},
        ],
    )
    prompt = request.prompt()

    assert prompt.tools == [
        function(description="d", parameters={"type": "object", "properties": {}})
    ]
    assert prompt.rules == ToolRules(required=True, only=("f",), parallel=False, param="functions")
    [called] = prompt.messages[1]["tool_calls"]
    assert called["function"] == call
    assert prompt.messages[2]["tool_call_id"] == called["id"]


def test_unknown_fields_are_named() -> None:
    """Inside of tools too."""
    body = {"model": "m", "messages": [USER], "tools": [function(x=1) | {"y": 2}]}

    assert ChatRequest.parse(body)[1] == ["tools[0].y", "tools[0].function.x"]


@pytest.mark.parametrize(
    ("fields", "variables"),
    [
        ({}, {}),
        ({"reasoning_effort": "none"}, {"enable_thinking": False, "thinking": False}),
        (
            {"reasoning_effort": "low"},
            {"reasoning_effort": "low", "enable_thinking": True, "thinking": True},
        ),
        ({"enable_thinking": False}, {"enable_thinking": False, "thinking": False}),
        (
            {"enable_thinking": True, "chat_template_kwargs": {"a": 1, "thinking": True}},
            {"enable_thinking": True, "thinking": True, "a": 1},
        ),
    ],
)
def test_thinking(fields: dict[str, Any], variables: dict[str, Any]) -> None:
    """However it is asked for, templates get it under the names that they know."""
    assert parse(**fields).prompt().template_kwargs == variables
