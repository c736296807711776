"""Anthropic's requests: what is refused, and by which name."""

from __future__ import annotations

from typing import Any

import pytest
from tests.schemas.anthropic_requests import (
    CALLED,
    SCHEMA,
    USE,
    USER,
    F,
    assistant,
    image,
    parse,
    result,
    system,
    text,
    user,
)

from tricorn.errors import InvalidRequest, RequestError, UnsupportedParameter
from tricorn.schemas.anthropic.request import CountTokensRequest, MessagesRequest

DOCUMENT = {"type": "document", "source": {"type": "text", "data": "x"}}
SEARCH = {"type": "web_search_20250305", "name": "web_search", "max_uses": 5}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"messages": [user(DOCUMENT)]}, "messages[0].content[0].type"),
        (
            {"messages": [*CALLED, user(result([DOCUMENT]))]},
            "messages[2].content[0].content[0].type",
        ),
        ({"messages": [user({"type": "search_result"})]}, "messages[0].content[0].type"),
        (
            {"messages": [user(image({"type": "file", "file_id": "x"}))]},
            "messages[0].content[0].source.type",
        ),
        ({"messages": [USER, assistant(image())]}, "messages[1].content[0].type"),
        ({"tools": [F, SEARCH]}, "tools[1].type"),
        ({"tools": [{"type": "bash_20250124", "name": "bash"}]}, "tools[0].type"),
        ({"tools": [{**F, "allowed_callers": ["x"]}]}, "tools[0].allowed_callers"),
        ({"thinking": {"type": "between_tools"}}, "thinking.type"),
        ({"output_config": {"task_budget": {}}}, "output_config.task_budget"),
        ({"container": "c1"}, "container"),
        ({"mcp_servers": [{}]}, "mcp_servers"),
        ({"speed": "fast"}, "speed"),
        ({"inference_geo": "eu"}, "inference_geo"),
        (
            {"context_management": {"edits": [{"type": "clear_tool_uses_20250919"}]}},
            "context_management.edits[0].type",
        ),
    ],
)
def test_what_is_not_supported(fields: dict[str, Any], param: str) -> None:
    """What would change the answer is not passed over, but named."""
    with pytest.raises(UnsupportedParameter) as caught:
        parse(**fields) if "messages" not in fields else parse(*fields["messages"])
    assert caught.value.param == param


@pytest.mark.parametrize(
    "fields",
    [
        {"container": {}},
        {"container": None},
        {"mcp_servers": []},
        {"context_management": {}},
        {"context_management": {"edits": []}},
        {"service_tier": "standard_only"},
        {"speed": "standard"},
    ],
)
def test_what_asks_for_nothing(fields: dict[str, Any]) -> None:
    """Is accepted."""
    assert parse(**fields).prompt() == parse().prompt()


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ([], "messages"),
        ([{"role": "robot", "content": "x"}], "messages[0].role"),
        ([{"content": "x"}], "messages[0].role"),
        ([{"role": "user"}], "messages[0].content"),
        ([{"role": "user", "content": 1}], "messages[0].content"),
        ([user()], "messages[0].content"),
        ([user("x")], "messages[0].content[0]"),
        ([user({"text": "x"})], "messages[0].content[0].type"),
        ([user({"type": "text"})], "messages[0].content[0].text"),
        ([user(image({"type": "base64"}))], "messages[0].content[0].source.media_type"),
        (
            [user(image({"type": "base64", "media_type": "image/png"}))],
            "messages[0].content[0].source.data",
        ),
        (
            [user(image({"type": "url", "url": "file:///etc/passwd"}))],
            "messages[0].content[0].source.url",
        ),
        ([USER, assistant({**USE, "input": "x"})], "messages[1].content[0].input"),
        ([user(result())], "messages[0].content[0].tool_use_id"),
        (CALLED, "messages[1].content[0]"),
        ([USER, assistant(text("a "))], "messages[1].content"),
        ([USER, assistant({"type": "thinking", "thinking": "x"})], "messages[1].content"),
        ([assistant()], "messages"),
        ([system("x")], "messages"),
    ],
)
def test_messages_that_cannot_be(given: list[Any], param: str) -> None:
    """The path is the one that the caller wrote."""
    with pytest.raises(RequestError) as caught:
        MessagesRequest.parse({"model": "m", "max_tokens": 1, "messages": given})
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"max_tokens": None}, "max_tokens"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"model": ""}, "model"),
        ({"temperature": 1.1}, "temperature"),
        ({"top_p": 2}, "top_p"),
        ({"top_k": -1}, "top_k"),
        ({"stop_sequences": [""]}, "stop_sequences"),
        ({"stream": "yes"}, "stream"),
        ({"system": [{"type": "image"}]}, "system[0].type"),
        ({"metadata": "me"}, "metadata"),
        ({"tools": {}}, "tools"),
        ({"tools": [{"name": "f"}]}, "tools[0].input_schema"),
        ({"tools": [{**F, "name": "a b"}]}, "tools[0].name"),
        ({"tools": [{**F, "input_schema": {"type": "array"}}]}, "tools[0].input_schema"),
        ({"tools": [F, F]}, "tools[1].name"),
        ({"tools": [{**F, "defer_loading": True}]}, "tools[0].defer_loading"),
        ({"tool_choice": {"type": "any"}}, "tool_choice"),
        ({"tools": [F], "tool_choice": "any"}, "tool_choice"),
        ({"tools": [F], "tool_choice": {"type": "required"}}, "tool_choice.type"),
        ({"tools": [F], "tool_choice": {"type": "tool"}}, "tool_choice.name"),
        ({"tools": [F], "tool_choice": {"type": "tool", "name": "g"}}, "tool_choice.name"),
        ({"tools": [F], "tool_choice": {"type": "any", "name": "f"}}, "tool_choice.name"),
        ({"thinking": {"type": "on"}}, "thinking.type"),
        ({"thinking": {"type": "enabled"}}, "thinking.budget_tokens"),
        ({"thinking": {"type": "enabled", "budget_tokens": 5000}}, "thinking.budget_tokens"),
        ({"thinking": {"type": "adaptive", "budget_tokens": 9}}, "thinking.budget_tokens"),
        ({"output_config": {"effort": "huge"}}, "output_config.effort"),
        ({"output_config": {"format": {"type": "xml"}}}, "output_config.format.type"),
        (
            {"output_config": {"format": {"type": "json_schema"}}},
            "output_config.format.schema",
        ),
        (
            {
                "output_format": SCHEMA,
                "output_config": {"format": {**SCHEMA, "schema": {"type": "array"}}},
            },
            "output_format",
        ),
        (
            {
                "context_management": {
                    "edits": [{"type": "clear_thinking_20251015", "keep": "none"}]
                }
            },
            "context_management.edits[0].keep",
        ),
    ],
)
def test_fields_that_cannot_be(fields: dict[str, Any], param: str) -> None:
    """400 naming the field."""
    with pytest.raises(RequestError) as caught:
        parse(**fields)
    assert caught.value.param == param


def test_no_thoughts_about_what_is_begun() -> None:
    """A prefill and a budget for thoughts exclude each other."""
    begun = {"role": "assistant", "content": "The"}
    with pytest.raises(InvalidRequest) as caught:
        parse(USER, begun, thinking={"type": "enabled", "budget_tokens": 1024})
    assert caught.value.param == "messages[1]"


def test_counting_needs_no_limit() -> None:
    """The same prompt without max_tokens."""
    body = {"model": "m", "messages": [USER], "system": "x", "tools": [F]}
    call, unknown = CountTokensRequest.parse(body, strict=True)
    assert unknown == []
    assert call.prompt() == parse(system="x", tools=[F]).prompt()
