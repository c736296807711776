"""What a request to the Responses API becomes, and where it is refused."""

from __future__ import annotations

from typing import Any

import pytest

from tricorn.engines.request import Constraint
from tricorn.errors import InvalidRequest, RequestError, UnsupportedParameter
from tricorn.schemas.responses import conversation
from tricorn.schemas.responses.request import ResponsesRequest

NOW: Any = {"type": "function", "name": "now"}
LATER: Any = {"type": "function", "name": "later"}


def parse(**body: Any) -> ResponsesRequest:
    return ResponsesRequest.parse({"model": "m", "input": "Hi"} | body)[0]


def messages(items: Any, instructions: str | None = None) -> list[dict[str, Any]]:
    call = parse(input=items, instructions=instructions)
    return call.prompt(call.items({})).messages


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def call_of(call_id: str, arguments: str = "{}") -> dict[str, Any]:
    return {"type": "function_call", "call_id": call_id, "name": "now", "arguments": arguments}


def made(call_id: str, arguments: str = "{}") -> dict[str, Any]:
    function = {"name": "now", "arguments": arguments}
    return {"id": call_id, "type": "function", "function": function}


# --- items become messages ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("a", "a"),
        ([{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}], "a\nb"),
        (
            [
                {"type": "input_text", "text": "a"},
                {"type": "input_image", "image_url": "data:image/png;base64,AA", "detail": "low"},
            ],
            [{"type": "text", "text": "a"}, {"type": "image"}],
        ),
    ],
)
@pytest.mark.parametrize("kind", [{}, {"type": "message"}, {"type": None, "id": None}])
def test_a_users_message(content: Any, expected: Any, kind: dict[str, Any]) -> None:
    """With and without its type; text as one string, images in their places."""
    assert messages([{"role": "user", "content": content, **kind}]) == [
        {"role": "user", "content": expected}
    ]


def test_a_turn_of_the_assistant() -> None:
    """Thoughts, a message and calls are one message; what does not fit begins another one."""
    items = [
        user("a"),
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x",
         "content": [{"type": "reasoning_text", "text": "Hm."}]},
        {"role": "assistant", "content": [{"type": "output_text", "text": "b", "annotations": []}]},
        call_of("c1", '{"zone": 1}'),
        call_of("c2", ""),
        {"type": "function_call_output", "call_id": "c1", "output": "noon"},
        {"type": "function_call_output", "call_id": "c2",
         "output": [{"type": "input_text", "text": "x"}, {"type": "input_text", "text": "y"}]},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "So."}]},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]},
        {"role": "assistant", "content": "more"},
        user("c"),
        {"type": "reasoning", "id": "rs_2", "summary": []},
    ]  # fmt: skip
    assert messages(items) == [
        user("a"),
        {"role": "assistant", "content": "b", "reasoning_content": "Hm.",
         "tool_calls": [made("c1", '{"zone": 1}'), made("c2")]},
        {"role": "tool", "content": "noon", "tool_call_id": "c1"},
        {"role": "tool", "content": "x\ny", "tool_call_id": "c2"},
        {"role": "assistant", "content": "no", "reasoning_content": "So."},
        {"role": "assistant", "content": "more"},
        user("c"),
    ]  # fmt: skip


def test_calls_alone() -> None:
    """They have no content; a message after a call is another one."""
    items = [
        user("a"),
        call_of("c"),
        {"role": "assistant", "content": "b"},
        {"type": "function_call_output", "call_id": "c", "output": "x"},
    ]
    assert messages(items)[1:3] == [
        {"role": "assistant", "content": None, "tool_calls": [made("c")]},
        {"role": "assistant", "content": "b"},
    ]


def test_system_messages() -> None:
    """Those at the beginning are one, instructions first; a later one stays where it is."""
    items = [
        {"role": "developer", "content": "b"},
        {"role": "system", "content": [{"type": "input_text", "text": "c"}]},
        user("d"),
        {"role": "developer", "content": "e"},
    ]
    assert messages(items, "a") == [
        {"role": "system", "content": "a\n\nb\n\nc"},
        user("d"),
        {"role": "system", "content": "e"},
    ]
    assert messages("d", "") == [{"role": "system", "content": ""}, user("d")]


def test_every_item_is_listed_as_it_can_be_read_again() -> None:
    """With an id, and meaning the same; an id that it came with stays."""
    items = [
        {"role": "system", "content": "a"},
        {"role": "user", "content": [{"type": "input_text", "text": "b"},
                                     {"type": "input_image", "image_url": "http://x/y.png"}]},
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "s"}],
         "content": [{"type": "reasoning_text", "text": "t"}]},
        {"role": "assistant", "content": "c"},
        call_of("c1"),
        {"type": "function_call_output", "call_id": "c1", "output": "d"},
    ]  # fmt: skip
    call = parse(input=items)
    placed = call.items({})
    listed = [item.listed() for _, item in placed]
    assert all(item["id"] and item["status"] == "completed" for item in listed)
    assert listed[2]["id"] == "rs_1"
    again = conversation.history([(listed, [])])
    assert conversation.messages(None, again) == conversation.messages(None, placed)
    assert [url for _, url in conversation.image_urls(again)] == ["http://x/y.png"]
    assert [item.listed() for _, item in again] == listed


def test_a_cut_call_of_an_earlier_turn_is_left_out() -> None:
    """It was never made; one that is sent has to be whole."""
    cut = call_of("c", '{"a": ') | {"id": "fc_1", "status": "incomplete"}
    found = conversation.history([([user("a") | {"id": "x"}], [cut])])
    assert conversation.messages(None, found) == [user("a")]
    call = parse(input=[user("a"), cut])
    with pytest.raises(InvalidRequest) as caught:
        conversation.check(call.items({}))
    assert caught.value.param == "input[1].arguments"


def test_references_become_what_they_name() -> None:
    """With and without their type."""
    call = parse(input=[{"type": "item_reference", "id": "m"}, {"id": "n"}, user("b")])
    assert call.references() == [("input[0].id", "m"), ("input[1].id", "n")]
    found = {name: user(name) | {"id": name} for name in "mn"}
    assert call.prompt(call.items(found)).messages == [user("m"), user("n"), user("b")]


# --- the other fields ---------------------------------------------------------------------------


def test_formats() -> None:
    """text.format is the answer's constraint, and the errors' field."""
    form = {"type": "json_schema", "name": "a", "schema": {"b": 1}, "strict": True}
    assert parse(text={"format": form}).constraint() == Constraint(
        "json_schema", '{"b":1}', "text.format"
    )
    held = parse(text={"format": {"type": "json_object"}}).constraint()
    assert held == Constraint("json_object", "", "text.format")
    for text in ({}, {"format": None}, {"format": {"type": "text"}}, {"verbosity": "low"}):
        assert parse(text=text).constraint() is None
    own = parse(structured_outputs={"regex": "a"}).constraint()
    assert own == Constraint("regex", "a", "structured_outputs.regex")


def test_tools_and_choices() -> None:
    """The flat shape becomes chat completions'; what is allowed becomes rules."""
    call = parse(tools=[NOW | {"strict": True, "description": "d"}, LATER])
    prompt = call.prompt(call.items({}))
    assert prompt.tools is not None
    assert prompt.tools[0] == {
        "type": "function",
        "function": {
            "name": "now",
            "description": "d",
            "parameters": {"type": "object", "properties": {}},
            "strict": True,
        },
    }
    assert (prompt.rules.required, prompt.rules.only, prompt.rules.parallel) == (False, None, True)
    allowed = {"type": "allowed_tools", "mode": "required", "tools": [NOW]}
    for choice, required, only, parallel in (
        ("required", True, None, True),
        (NOW, True, ("now",), False),
        (allowed, True, ("now",), True),
        (allowed | {"mode": "auto"}, False, ("now",), True),
    ):
        call = parse(tools=[NOW, LATER], tool_choice=choice)
        rules = call.prompt(call.items({})).rules
        assert (rules.required, rules.only, rules.parallel) == (required, only, parallel)
    call = parse(tools=[NOW], tool_choice="none")
    assert call.prompt(call.items({})).tools is None


def test_thinking_and_truncation() -> None:
    """The template hears of effort and verbosity; truncation is the chat's."""
    call = parse(reasoning={"effort": "low"}, text={"verbosity": "high"}, truncation="auto")
    prompt = call.prompt(call.items({}))
    assert prompt.template_kwargs == {
        "reasoning_effort": "low",
        "enable_thinking": True,
        "thinking": True,
        "verbosity": "high",
    }
    assert prompt.truncation
    assert not parse().prompt([]).truncation
    assert parse(thinking_token_budget=9).sampling().thinking_budget == 9


def test_limits_and_logprobs() -> None:
    """Their own names."""
    sampling = parse(max_output_tokens="7", top_logprobs=3, stop="x", seed=1).sampling()
    assert (sampling.max_tokens, sampling.logprobs, sampling.stop) == (7, 3, ("x",))
    assert parse(include=["message.output_text.logprobs"]).sampling().logprobs == 0
    assert parse(include=["reasoning.encrypted_content"]).sampling().logprobs is None


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": None}, "input"),
        ({"input": []}, "input"),
        ({"input": 5}, "input"),
        ({"input": ["a"]}, "input[0]"),
        ({"input": [{"content": "a"}]}, "input[0].role"),
        ({"input": [{"role": "tool", "content": "a"}]}, "input[0].role"),
        ({"input": [{"role": "user"}]}, "input[0].content"),
        ({"input": [{"role": "user", "content": 5}]}, "input[0].content"),
        ({"input": [{"role": "user", "content": [{"type": "text", "text": "a"}]}]},
         "input[0].content[0].type"),
        ({"input": [{"role": "user", "content": [{"type": "input_text"}]}]},
         "input[0].content[0].text"),
        ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]},
         "input[0].content[0].image_url"),
        ({"input": [{"role": "user", "content": [{"type": "input_image", "image_url": "ftp:x"}]}]},
         "input[0].content[0].image_url"),
        ({"input": [{"role": "user", "content": [
            {"type": "input_image", "image_url": "data:,", "detail": "x"}]}]},
         "input[0].content[0].detail"),
        ({"input": [{"type": "mystery"}]}, "input[0].type"),
        ({"input": [{"type": 5}]}, "input[0].type"),
        ({"input": [{"type": "function_call", "name": "a", "arguments": "{}"}]},
         "input[0].call_id"),
        ({"input": [{"type": "item_reference"}]}, "input[0].id"),
        ({"text": {"format": {"type": "xml"}}}, "text.format.type"),
        ({"text": {"format": {"type": "json_schema", "schema": {}}}}, "text.format.name"),
        ({"text": {"format": {"type": "json_schema", "name": "a"}}}, "text.format.schema"),
        ({"text": {"format": {"type": "text", "schema": {}}}}, "text.format.schema"),
        ({"text": {"verbosity": "x"}}, "text.verbosity"),
        ({"text": {"verbosity": "low"}, "chat_template_kwargs": {"verbosity": "high"}},
         "text.verbosity"),
        ({"text": {"format": {"type": "json_object"}}, "guided_regex": "a"}, "guided_regex"),
        ({"reasoning": {"effort": "x"}}, "reasoning.effort"),
        ({"reasoning": {"summary": "x"}}, "reasoning.summary"),
        ({"reasoning": {"effort": "low"}, "chat_template_kwargs": {"thinking": False}},
         "reasoning.effort"),
        ({"reasoning": {"effort": "low"}, "thinking_budget": 0}, "thinking_budget"),
        ({"tools": [NOW, NOW]}, "tools[1].name"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"tools": [{"name": "a"}]}, "tools[0].type"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": [NOW], "tool_choice": LATER}, "tool_choice"),
        ({"tools": [NOW], "tool_choice": "any"}, "tool_choice"),
        ({"tools": [NOW], "tool_choice": {"type": "allowed_tools", "tools": []}},
         "tool_choice.tools"),
        ({"include": ["x"]}, "include[0]"),
        ({"metadata": {"a": 1}}, "metadata.a"),
        ({"metadata": {str(n): "" for n in range(17)}}, "metadata"),
        ({"stream_options": {"include_obfuscation": False}}, "stream_options"),
        ({"top_logprobs": 21}, "top_logprobs"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"max_output_tokens": 3, "min_tokens": 4}, "min_tokens"),
        ({"truncation": "yes"}, "truncation"),
        ({"store": "yes"}, "store"),
    ],
    ids=str,
)  # fmt: skip
def test_wrong_values(fields: dict[str, Any], param: str) -> None:
    """The error names the field in the caller's own words."""
    with pytest.raises(InvalidRequest) as caught:
        parse(**fields)
    assert caught.value.param == param
    assert param in caught.value.message


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}]},
         "input[0].content[0]"),
        ({"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]},
         "input[0].content[0].file_id"),
        ({"input": [{"role": "system", "content": [
            {"type": "input_image", "image_url": "data:,"}]}]}, "input[0].content[0]"),
        ({"input": [{"type": "function_call_output", "call_id": "c", "output": [
            {"type": "input_image", "image_url": "data:,"}]}]}, "input[0].output[0]"),
        ({"input": [{"type": "web_search_call", "id": "w"}]}, "input[0].type"),
        ({"tools": [{"type": "custom", "name": "a"}]}, "tools[0].type"),
        ({"tools": [NOW], "tool_choice": {"type": "web_search"}}, "tool_choice.type"),
        ({"reasoning": {"mode": "pro"}}, "reasoning.mode"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"background": True}, "background"),
        ({"context_management": [{"type": "compaction"}]}, "context_management"),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_not_done(fields: dict[str, Any], param: str) -> None:
    """Known, and refused as such."""
    with pytest.raises(UnsupportedParameter) as caught:
        parse(**fields)
    assert caught.value.param == param


def test_strict_fields() -> None:
    """A field that nobody knows is refused where the server is strict, wherever it is."""
    body: dict[str, Any] = {"model": "m", "input": [user("a") | {"mood": 1}]}
    assert ResponsesRequest.parse(body)[1] == ["input[0].mood"]
    with pytest.raises(RequestError) as caught:
        ResponsesRequest.parse(body, strict=True)
    assert caught.value.param == "input[0].mood"
