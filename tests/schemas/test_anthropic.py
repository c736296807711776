"""Anthropic's requests: what Tricorn makes of them."""

from __future__ import annotations

import json
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
    messages,
    parse,
    result,
    system,
    text,
    user,
)

from tricorn.chat.tools.rules import ToolRules
from tricorn.engines.request import Constraint
from tricorn.schemas.anthropic.request import MessagesRequest

# --- messages -----------------------------------------------------------------------------------


def test_strings_and_blocks() -> None:
    """A string is one block of text; blocks are lines; hints say nothing."""
    cached = {**text("a"), "cache_control": {"type": "ephemeral"}}
    assert messages({"role": "user", "content": "Hi"}) == [{"role": "user", "content": "Hi"}]
    assert messages(user(cached, text(""), text("b"))) == [{"role": "user", "content": "a\nb"}]


def test_neighbours_of_a_role_are_one_turn() -> None:
    """Templates want roles to take turns."""
    assert messages(USER, user(text("you")), assistant(text("a")), assistant(text("b")), USER) == [
        {"role": "user", "content": "Hi\nyou"},
        {"role": "assistant", "content": "a\nb"},
        {"role": "user", "content": "Hi"},
    ]


def test_system() -> None:
    """A string or blocks, and messages of the system in front, are one message."""
    told = [text("Be brief."), text("Be kind.")]
    wanted = {"role": "system", "content": "Be brief.\nBe kind."}
    assert messages(system="Be brief.\nBe kind.")[0] == wanted
    assert messages(system=told)[0] == wanted
    assert messages(system("Be kind."), USER, system="Be brief.")[0] == wanted
    assert messages(system="") == messages(system=[]) == messages()


def test_what_is_meant_for_accounts() -> None:
    """Claude Code's line for Anthropic's accounts is no part of the prompt: it is never the same
    twice, and the prefix cache would find nothing."""
    line = "x-anthropic-billing-header: cc_version=2.1.37.0d9; cc_entrypoint=cli; cch=fa690;"
    assert messages(system=[text(line), text("Be kind.")]) == messages(system="Be kind.")


def test_system_in_the_middle() -> None:
    """Few templates take it: the user's turn tells of it, in its place."""
    reminder = "<system-reminder>\nStop.\n</system-reminder>"
    assert messages(USER, system("Stop.")) == [{"role": "user", "content": f"Hi\n{reminder}"}]
    found = messages(USER, assistant(text("a")), system("Stop."), USER)
    assert found[-1] == {"role": "user", "content": f"{reminder}\nHi"}
    assert not parse(USER, assistant(text("a")), system("Stop.")).prompt().continue_final_message


def test_calls_and_results() -> None:
    """Calls go beside the text; results come in front of what the user says."""
    thought = {"type": "thinking", "thinking": "Hm.", "signature": "xyz"}
    redacted = {"type": "redacted_thinking", "data": "…"}
    spoken = assistant(thought, redacted, text("Let me see."), USE)
    assert messages(USER, spoken, user(text("Well?"), result([text("4"), text("2")]))) == [
        {"role": "user", "content": "Hi"},
        {
            "role": "assistant",
            "content": "Let me see.",
            "reasoning_content": "Hm.",
            "tool_calls": [
                {
                    "id": "t1",
                    "type": "function",
                    "function": {"name": "f", "arguments": '{"a": "é"}'},
                }
            ],
        },
        {"role": "tool", "content": "4\n2", "tool_call_id": "t1", "name": "f"},
        {"role": "user", "content": "Well?"},
    ]


def test_a_call_alone_and_an_empty_result() -> None:
    """No text is null beside calls; a result without content is an empty one."""
    bare = {"type": "tool_result", "tool_use_id": "t1"}
    found = messages(*CALLED, user(bare))
    assert found[1]["content"] is None
    assert found[2]["content"] == ""


@pytest.mark.parametrize(
    ("content", "wanted"), [("no such file", "Error: no such file"), ("Error 404", "Error 404")]
)
def test_a_result_that_is_an_error(content: str, wanted: str) -> None:
    """Templates know no failures: the text tells."""
    assert messages(*CALLED, user(result(content, is_error=True)))[-1]["content"] == wanted


def test_images() -> None:
    """They are named where they stand; those of a result go into the user's message."""
    url = {"type": "url", "url": "https://example.org/a.png"}
    call = parse(*CALLED, user(text("See:"), image(url), result([text("Here:"), image()])))
    assert call.image_urls() == [
        ("messages[2].content[2].content[1].source.data", "data:image/png;base64,AAAA"),
        ("messages[2].content[1].source.url", "https://example.org/a.png"),
    ]
    assert call.prompt().messages[2:] == [
        {"role": "tool", "content": "Here:\n[image]", "tool_call_id": "t1", "name": "f"},
        {
            "role": "user",
            "content": [{"type": "image"}, {"type": "text", "text": "See:"}, {"type": "image"}],
        },
    ]


def test_prefill() -> None:
    """A last message of the assistant is the beginning of the answer; an empty one is none."""
    prompt = parse(USER, {"role": "assistant", "content": "The answer is ("}).prompt()
    assert prompt.continue_final_message
    assert not prompt.add_generation_prompt
    empty = parse(USER, {"role": "assistant", "content": ""}).prompt()
    assert empty.messages == [USER]
    assert empty.add_generation_prompt
    assert not empty.continue_final_message


# --- tools --------------------------------------------------------------------------------------


def test_tools() -> None:
    """In OpenAI's shape, with their examples told."""
    tool = {
        **F,
        "description": "Does it.",
        "strict": True,
        "input_examples": [{"a": 1}],
        "cache_control": {"type": "ephemeral"},
        "eager_input_streaming": True,
    }
    assert parse(tools=[tool]).offered_tools() == [
        {
            "type": "function",
            "function": {
                "name": "f",
                "description": 'Does it.\n\nExamples of its input:\n{"a": 1}',
                "parameters": {"type": "object", "properties": {}},
                "strict": True,
            },
        }
    ]


@pytest.mark.parametrize(
    ("choice", "rules"),
    [
        (None, ToolRules()),
        ({"type": "auto"}, ToolRules()),
        ({"type": "auto", "disable_parallel_tool_use": True}, ToolRules(parallel=False)),
        ({"type": "any"}, ToolRules(required=True)),
        (
            {"type": "any", "disable_parallel_tool_use": True},
            ToolRules(required=True, parallel=False),
        ),
        (
            {"type": "tool", "name": "f"},
            ToolRules(required=True, only=("f",), parallel=False),
        ),
    ],
)
def test_tool_choice(choice: Any, rules: ToolRules) -> None:
    """Whether it must, which, and how many."""
    assert parse(tools=[F], tool_choice=choice).prompt().rules == rules


def test_no_tools_where_none_may_be_called() -> None:
    """The model is not told of them."""
    assert parse(tools=[F], tool_choice={"type": "none"}).prompt().tools is None


def test_deferred_tools() -> None:
    """The model is told of one once a search has found it."""
    late = {**F, "name": "late", "defer_loading": True}
    found = {"type": "tool_reference", "tool_name": "late"}
    names = [
        [tool["function"]["name"] for tool in call.offered_tools()]
        for call in (
            parse(tools=[F, late]),
            parse(*CALLED, user(result([found])), tools=[F, late]),
            parse(tools=[F, late], tool_choice={"type": "tool", "name": "late"}),
        )
    ]
    assert names == [["f"], ["f", "late"], ["f", "late"]]


# --- the answer ---------------------------------------------------------------------------------


def test_sampling() -> None:
    """Under their own names."""
    sampling = parse(
        max_tokens=7, temperature=0.5, top_p=0.9, top_k=3, stop_sequences=["a", "b"]
    ).sampling()
    assert (sampling.max_tokens, sampling.temperature, sampling.top_p) == (7, 0.5, 0.9)
    assert (sampling.top_k, sampling.stop, sampling.n) == (3, ("a", "b"), 1)
    assert parse(max_tokens=0).sampling().max_tokens == 0
    thinking = {"type": "enabled", "budget_tokens": 2000}
    assert parse(thinking=thinking).sampling().thinking_budget == 2000


@pytest.mark.parametrize(
    ("thinking", "effort", "variables"),
    [
        (None, None, {}),
        ({"type": "adaptive"}, None, {"enable_thinking": True, "thinking": True}),
        (
            {"type": "enabled", "budget_tokens": 2000},
            None,
            {"enable_thinking": True, "thinking": True, "thinking_budget": 2000},
        ),
        (
            {"type": "disabled"},
            "high",
            {"enable_thinking": False, "thinking": False, "reasoning_effort": "high"},
        ),
        (None, "low", {"reasoning_effort": "low"}),
    ],
)
def test_thinking(thinking: Any, effort: str | None, variables: dict[str, Any]) -> None:
    """Variables of the template; effort alone turns thoughts neither on nor off."""
    call = parse(thinking=thinking, output_config={"effort": effort})
    assert call.prompt().template_kwargs == variables


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"output_config": {"format": SCHEMA}}, "output_config.format"),
        ({"output_format": SCHEMA}, "output_format"),
        ({"output_format": SCHEMA, "output_config": {"format": SCHEMA}}, "output_config.format"),
    ],
)
def test_output_format(fields: Any, param: str) -> None:
    """A schema by either name, which errors then have."""
    constraint = Constraint("json_schema", json.dumps({"type": "object"}).replace(" ", ""), param)
    assert parse(**fields).sampling().constraint == constraint


@pytest.mark.parametrize(
    ("keep", "thoughts"),
    [("all", ["a", "b"]), ({"type": "thinking_turns", "value": 1}, [None, "b"]), (5, ["a", "b"])],
)
def test_clearing_thoughts(keep: Any, thoughts: list[str | None]) -> None:
    """Those of older turns are left out as asked for."""
    turns = [USER]
    for thought in ("a", "b"):
        turns += [assistant({"type": "thinking", "thinking": thought}, text("x")), USER]
    edits = [{"type": "clear_thinking_20251015", "keep": keep}]
    found = messages(*turns, context_management={"edits": edits})
    kept = [m.get("reasoning_content") for m in found if m["role"] == "assistant"]
    assert kept == thoughts


def test_what_claude_code_sends() -> None:
    """All of it is taken, and nothing of it is unknown."""
    hint = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
    call, unknown = MessagesRequest.parse(
        {
            "model": "m",
            "max_tokens": 32000,
            "messages": [
                user({**text("<system-reminder>…</system-reminder>"), **hint}, text("Hi")),
                assistant({**USE, "caller": {"type": "direct"}, **hint}),
                user({**result([{**text("4"), **hint}]), **hint}),
                system("The available skills: …"),
            ],
            "system": [{**text("You are Claude Code."), **hint}],
            "tools": [
                {
                    **F,
                    "input_schema": {
                        "$schema": "https://json-schema.org/draft/2020-12/schema",
                        "type": "object",
                        "properties": {"a": {"type": "string"}},
                        "additionalProperties": False,
                    },
                    "eager_input_streaming": True,
                    **hint,
                }
            ],
            "metadata": {"user_id": '{"device_id":"x"}'},
            "thinking": {"type": "adaptive"},
            "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
            "output_config": {"effort": "medium"},
            "stream": True,
            "temperature": 1,
        },
        strict=True,
    )
    assert unknown == []
    assert [m["role"] for m in call.prompt().messages] == [
        "system", "user", "assistant", "tool", "user",
    ]  # fmt: skip


def test_unknown_fields_are_named() -> None:
    """Wherever they stand."""
    _, unknown = MessagesRequest.parse(
        {
            "model": "m",
            "max_tokens": 1,
            "colour": 1,
            "messages": [
                {**user({**text("a"), "x": 1}), "y": 1},
                assistant(USE),
                user(result([{**text("4"), "z": 1}])),
            ],
            "tools": [{**F, "w": 1}],
            "tool_choice": {"type": "auto", "v": 1},
            "thinking": {"type": "disabled", "u": 1},
        }
    )
    assert unknown == [
        "colour",
        "messages[0].y",
        "messages[0].content[0].x",
        "messages[2].content[0].content[0].z",
        "tools[0].w",
        "tool_choice.v",
        "thinking.u",
    ]
