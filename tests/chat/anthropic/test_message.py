"""Anthropic's message and its events, built from engine deltas."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from tricorn.chat.anthropic.events import MessageEvents
from tricorn.chat.anthropic.message import Message
from tricorn.chat.choice import ToolUse
from tricorn.chat.pieces import Reading
from tricorn.chat.response import Builder, Head
from tricorn.engines.request import TokenDelta

HEAD = Head("msg-1", 1700000000, 'mo"del', "fp_1")
TOOLS = ToolUse([{"type": "function", "function": {"name": "f", "parameters": {}}}])
CALLS = "".join(
    f'<tool_call>\n{{"name": "f", "arguments": {{"a": {number}}}}}\n</tool_call>\n'
    for number in (1, 2)
)


def deltas(text: str, finish: Any = "stop", stop: str | None = None) -> list[TokenDelta]:
    """One for each character, and a last one that says why it ended; 2 of 5 tokens were cached."""
    found = [TokenDelta(0, character, [1]) for character in text]
    found.append(TokenDelta(0, "", [2], finish, stop))
    return [TokenDelta(0, d.text, d.token_ids, d.finish_reason, d.stop_reason, None, 2 if n == 0
            else None) for n, d in enumerate(found)]  # fmt: skip


def fed(builder: Builder, given: list[TokenDelta], reading: Reading | None) -> list[dict[str, Any]]:
    if reading is not None:
        builder.read_as(reading)
    chunks = builder.started(0, 5, None)
    for delta in given:
        chunks += builder.delta(0, delta)
    return [orjson.loads(chunk) for chunk in chunks + builder.end()]


def whole(
    given: list[TokenDelta], reading: Reading | None = None, **options: Any
) -> dict[str, Any]:
    builder = Message(HEAD, **{"max_tokens": 100, "use": TOOLS} | options)
    assert fed(builder, given, reading) == []
    found: dict[str, Any] = orjson.loads(orjson.dumps(builder.result()))
    return found


def events(
    given: list[TokenDelta], reading: Reading | None = None, **options: Any
) -> list[dict[str, Any]]:
    builder = MessageEvents(HEAD, **{"max_tokens": 100, "use": TOOLS} | options)
    return fed(builder, given, reading)


def put_together(found: list[dict[str, Any]]) -> dict[str, Any]:
    """The message that a stream tells, as a client accumulates it."""
    message: dict[str, Any] = found[0]["message"]
    assert [e["type"] for e in (found[0], *found[-2:])] == [
        "message_start", "message_delta", "message_stop",
    ]  # fmt: skip
    opened = -1
    arguments = ""
    for event in found[1:-2]:
        match event:
            case {"type": "content_block_start", "index": index, "content_block": block}:
                assert opened == -1
                assert index == len(message["content"])
                opened, arguments = index, ""
                message["content"].append(block)
            case {"type": "content_block_delta", "index": index, "delta": delta}:
                assert index == opened
                block = message["content"][index]
                match delta:
                    case {"type": "text_delta", "text": text}:
                        block["text"] += text
                    case {"type": "thinking_delta", "thinking": text}:
                        block["thinking"] += text
                    case {"type": "signature_delta", "signature": text}:
                        block["signature"] = text
                    case {"type": "input_json_delta", "partial_json": text}:
                        assert text
                        arguments += text
                    case _:
                        raise AssertionError(delta)
            case {"type": "content_block_stop", "index": index}:
                assert index == opened
                if arguments:
                    message["content"][index]["input"] = orjson.loads(arguments)
                opened = -1
            case _:
                raise AssertionError(event)
    message |= found[-2]["delta"]
    message["usage"] |= found[-2]["usage"]
    return message


def same(message: dict[str, Any]) -> dict[str, Any]:
    """Without what is made up for each call, and without nulls."""
    content = [
        {key: value for key, value in block.items() if key != "id" and value is not None}
        for block in message["content"]
    ]
    return message | {"content": content}


def test_a_text() -> None:
    """Every field; tokens from the cache are counted apart."""
    assert whole(deltas("Hi!")) == {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": 'mo"del',
        "content": [{"type": "text", "text": "Hi!", "citations": None}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 3,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 2,
            "output_tokens": 4,
            "output_tokens_details": {"thinking_tokens": 0},
            "service_tier": "standard",
        },
    }


def test_events_of_a_text() -> None:
    """Their exact order and shape; the type stands first in each, for the event's name."""
    builder = MessageEvents(HEAD, max_tokens=100)
    chunks = builder.started(0, 5, None)
    for delta in deltas("H!"):
        chunks += builder.delta(0, delta)
    chunks += builder.end()
    assert all(chunk.startswith(b'{"type":"') for chunk in chunks)
    found = [orjson.loads(chunk) for chunk in chunks]
    assert found[0]["message"]["content"] == []
    assert found[0]["message"]["stop_reason"] is None
    assert found[0]["message"]["usage"]["input_tokens"] == 3
    assert found[0]["message"]["usage"]["output_tokens"] == 0
    assert found[1:] == [
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "text_delta", "text": "H"},
        },
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "text_delta", "text": "!"},
        },
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {
                "input_tokens": 3,
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": 2,
                "output_tokens": 3,
                "output_tokens_details": {"thinking_tokens": 0},
            },
        },
        {"type": "message_stop"},
    ]


READINGS = [
    ("Hi!", None, "stop"),
    ("", None, "stop"),
    ("Let me see.\n" + CALLS, Reading("hermes"), "stop"),
    (CALLS, Reading("hermes"), "stop"),
    ('<tool_call>\n{"name": "f", "arguments": {"a": "x', Reading("hermes"), "length"),
    ("<think>\nHm.\n</think>\n\nYes.", Reading("", "think"), "stop"),
    ("<think>Hm.</think>" + CALLS, Reading("hermes", "think"), "stop"),
    ("<think>Hm", Reading("", "think"), "length"),
]


@pytest.mark.parametrize("show_thoughts", [True, False])
@pytest.mark.parametrize(("text", "reading", "finish"), READINGS)
def test_a_stream_tells_the_same_message(
    text: str, reading: Reading | None, finish: str, show_thoughts: bool
) -> None:
    """Blocks one after the other, which come to what a whole answer has."""
    given = deltas(text, finish)
    wanted = whole(given, reading, show_thoughts=show_thoughts)
    found = put_together(events(given, reading, show_thoughts=show_thoughts))
    assert same(found) == same(wanted)


def test_calls() -> None:
    """Each with an id of its own and an object as input."""
    answer = whole(deltas("Let me see.\n" + CALLS), Reading("hermes"))
    text, first, second = answer["content"]
    assert text["text"] == "Let me see."
    assert [block["type"] for block in (first, second)] == ["tool_use", "tool_use"]
    assert [block["input"] for block in (first, second)] == [{"a": 1}, {"a": 2}]
    assert first["id"].startswith("toolu_")
    assert first["id"] != second["id"]
    assert answer["stop_reason"] == "tool_use"


def test_a_cut_call() -> None:
    """What there is of its input, as an object; the reason says that it was cut."""
    text = '<tool_call>\n{"name": "f", "arguments": {"a": "x", "b": 1'
    answer = whole(deltas(text, "length"), Reading("hermes"), max_tokens=len(text) + 1)
    [block] = answer["content"]
    assert block["input"] == {"a": "x"}
    assert answer["stop_reason"] == "max_tokens"


def test_thoughts() -> None:
    """A block of their own with a signature, and counted."""
    answer = whole(deltas("<think>\nHm.\n</think>\n\nYes."), Reading("", "think"))
    thought, text = answer["content"]
    assert thought["thinking"] == "Hm."
    assert thought["signature"]
    assert text["text"] == "Yes."
    assert answer["usage"]["output_tokens_details"]["thinking_tokens"] > 3


def test_thoughts_that_are_not_shown() -> None:
    """An empty block with the signature that the thought has."""
    given = deltas("<think>Hm.</think>Yes.")
    shown = whole(given, Reading("", "think"))["content"][0]
    hidden = whole(given, Reading("", "think"), show_thoughts=False)["content"][0]
    assert hidden == shown | {"thinking": ""}


@pytest.mark.parametrize(
    ("finish", "stop", "max_tokens", "reason", "sequence"),
    [
        ("stop", None, 100, "end_turn", None),
        ("stop", "END", 100, "stop_sequence", "END"),
        ("length", None, 3, "max_tokens", None),
        # The engine's context was full first.
        ("length", None, 100, "model_context_window_exceeded", None),
    ],
)
def test_reasons(
    finish: str, stop: str | None, max_tokens: int, reason: str, sequence: str | None
) -> None:
    """Why it ended, and the stop sequence that ended it; whole and streamed."""
    given = deltas("Hi", finish, stop)
    for answer in (
        whole(given, max_tokens=max_tokens),
        put_together(events(given, max_tokens=max_tokens)),
    ):
        assert (answer["stop_reason"], answer["stop_sequence"]) == (reason, sequence)
