"""Responses and their events, from an engine's deltas."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from tricorn.chat.choice import ToolUse
from tricorn.chat.pieces import Reading
from tricorn.chat.response import Head
from tricorn.chat.responses.events import ResponseEvents
from tricorn.chat.responses.whole import ResponseObject
from tricorn.chat.truncation import Truncated
from tricorn.engines.request import TokenDelta, TokenLogprob
from tricorn.errors import EngineLost, InvalidRequest
from tricorn.schemas.responses.request import ResponsesRequest

HEAD = Head("resp_1", 1700000000, "model-a", "fp_1")
NOW: dict[str, Any] = {"type": "function", "name": "now"}
CALL = '<tool_call>\n{"name": "now", "arguments": {"zone": "CET"}}\n</tool_call>'
EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)

Json = dict[str, Any]


def options(**more: Any) -> Json:
    call, _ = ResponsesRequest.parse({"model": "m", "input": "Hi", "tools": [NOW]})
    use = ToolUse(call.offered_tools())
    return {"repeated": call.repeated(), "use": use, "now": lambda: 1700000009.5} | more


def deltas(*texts: str, finish: str = "stop", logprobs: bool = False) -> list[TokenDelta]:
    made = []
    for number, text in enumerate(texts):
        last = number == len(texts) - 1
        entries = [TokenLogprob(text.encode(), -0.5, number)] if logprobs else None
        made.append(
            TokenDelta(
                0,
                text,
                [number],
                finish if last else None,  # type: ignore[arg-type]
                logprobs=entries,
                cached_tokens=3 if number == 0 else None,
            )
        )
    return made


def whole(found: list[TokenDelta], reading: Reading | None = None, **more: Any) -> Json:
    builder = ResponseObject(HEAD, **options(**more))
    if reading is not None:
        builder.read_as(reading)
    builder.started(0, 7, None)
    for delta in found:
        assert builder.delta(0, delta) == []
    assert builder.end() == []
    return checked(builder.result())


def checked(response: Json) -> Json:
    Response.model_validate(response, strict=True)
    return response


def events(found: list[TokenDelta], reading: Reading | None = None, **more: Any) -> list[Json]:
    builder = ResponseEvents(HEAD, **options(**more))
    if reading is not None:
        builder.read_as(reading)
    chunks = builder.started(0, 7, None)
    for delta in found:
        chunks += builder.delta(0, delta)
    return read(chunks + builder.end())


def read(chunks: list[bytes]) -> list[Json]:
    told = [json.loads(chunk) for chunk in chunks]
    assert [event["sequence_number"] for event in told] == list(range(len(told)))
    for chunk, event in zip(chunks, told, strict=True):
        assert chunk.startswith(b'{"type":"' + event["type"].encode() + b'"')
        parsed = EVENT.validate_python(event, strict=True)
        assert parsed.type == event["type"]
    return told


def kinds(told: list[Json]) -> list[str]:
    """Without the repetitions of deltas."""
    found: list[str] = []
    for event in told:
        kind = event["type"].removeprefix("response.")
        if not (found and found[-1] == kind):
            found.append(kind)
    return found


MESSAGE = [
    "output_item.added",
    "content_part.added",
    "output_text.delta",
    "output_text.done",
    "content_part.done",
    "output_item.done",
]
THOUGHT = [kind.replace("output_text", "reasoning_text") for kind in MESSAGE]
FUNCTION = [
    "output_item.added",
    "function_call_arguments.delta",
    "function_call_arguments.done",
    "output_item.done",
]
BEGIN = ["created", "in_progress"]


def test_a_message() -> None:
    """One item with one text; usage in the Responses API's words."""
    response = whole(deltas("Hel", "lo", ""))
    [item] = response["output"]
    assert (item["type"], item["status"], item["role"]) == ("message", "completed", "assistant")
    [part] = item["content"]
    assert part == {"type": "output_text", "text": "Hello", "annotations": [], "logprobs": []}
    assert (response["status"], response["created_at"], response["completed_at"]) == (
        "completed",
        1700000000,
        1700000009,
    )
    assert response["usage"] == {
        "input_tokens": 7,
        "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 0},
        "output_tokens": 3,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 10,
    }
    assert response["tools"][0]["name"] == "now"


def test_the_events_of_a_message() -> None:
    """Every event in its place, the deltas spell the text, the last one has the response."""
    told = events(deltas("Hel", "", "lo"))
    assert kinds(told) == [*BEGIN, *MESSAGE, "completed"]
    created, progress, last = told[0]["response"], told[1]["response"], told[-1]["response"]
    assert created == progress
    assert (created["status"], created["output"], created["usage"]) == ("in_progress", [], None)
    assert [event["delta"] for event in told if "delta" in event] == ["Hel", "lo"]
    assert told[2]["item"]["content"] == []
    assert told[3]["part"]["text"] == ""
    assert told[-2]["item"] == last["output"][0]
    same = whole(deltas("Hel", "", "lo"))
    for response in (last, same):
        response["output"][0]["id"] = "x"
    assert last == same


def test_thoughts_content_and_calls() -> None:
    """Each an item of its own, in the order in which they came."""
    reading = Reading("hermes", "think")
    text = f"<think>Hm.</think>Let me see.{CALL}{CALL}"
    told = events(deltas(*text), reading)
    assert kinds(told) == [*BEGIN, *THOUGHT, *MESSAGE, *FUNCTION, *FUNCTION, "completed"]
    response = told[-1]["response"]
    reasoning, message, first, second = response["output"]
    assert (reasoning["summary"], reasoning["content"]) == (
        [],
        [{"type": "reasoning_text", "text": "Hm."}],
    )
    assert message["content"][0]["text"] == "Let me see."
    assert json.loads(first["arguments"]) == {"zone": "CET"}
    assert first["call_id"] != second["call_id"]
    assert first["id"] != first["call_id"]
    for index, item in enumerate(response["output"]):
        own = [event for event in told if event.get("output_index") == index]
        assert {event.get("item_id", item["id"]) for event in own} == {item["id"]}
    assert response["usage"]["output_tokens_details"]["reasoning_tokens"] > 3
    assert [item["type"] for item in whole(deltas(*text), reading)["output"]] == [
        "reasoning",
        "message",
        "function_call",
        "function_call",
    ]


def test_a_limit() -> None:
    """incomplete, with the reason; the item that was cut says so too, a call as far as it came."""
    response = whole(deltas("Hel", finish="length"))
    assert (response["status"], response["completed_at"]) == ("incomplete", None)
    assert response["incomplete_details"] == {"reason": "max_output_tokens"}
    assert response["output"][0]["status"] == "incomplete"
    cut = CALL[: CALL.index("CET") + 1]
    told = events(deltas(*f"So.{cut}", finish="length"), Reading("hermes"))
    assert kinds(told)[-1] == "incomplete"
    message, call = told[-1]["response"]["output"]
    assert (message["status"], call["status"]) == ("completed", "incomplete")
    assert call["arguments"] == '{"zone": "C'


def test_nothing_was_said() -> None:
    """An empty message, whole and streamed."""
    assert whole(deltas(""))["output"][0]["content"][0]["text"] == ""
    told = events(deltas(""))
    assert kinds(told) == [*BEGIN, *(k for k in MESSAGE if not k.endswith("delta")), "completed"]
    assert told[-1]["response"]["output"][0]["content"][0]["text"] == ""


def test_logprobs() -> None:
    """In the part, and in the deltas with the text that their tokens became part of."""
    found = deltas("", "He", "", "llo", logprobs=True)
    found[0] = TokenDelta(0, "", [9], logprobs=[TokenLogprob(b"\xf0", -1.0, 9)], cached_tokens=0)
    found[2] = TokenDelta(0, "", [8], logprobs=[TokenLogprob(b"x", -2.0, 8)])
    [item] = whole(found, logprobs=True)["output"]
    expected = [-1.0, -0.5, -2.0, -0.5]
    assert [entry["logprob"] for entry in item["content"][0]["logprobs"]] == expected
    told = events(found, logprobs=True)
    shown = [event["logprobs"] for event in told if event["type"].endswith("text.delta")]
    assert [[entry["logprob"] for entry in entries] for entries in shown] == [
        [-1.0, -0.5],
        [-2.0, -0.5],
    ]
    [done] = [event for event in told if event["type"].endswith("text.done")]
    assert [entry["logprob"] for entry in done["logprobs"]] == expected
    assert all(not e["logprobs"] for e in events(found) if e["type"].endswith("text.delta"))


@pytest.mark.parametrize(
    ("error", "code"),
    [(EngineLost("gone"), "server_error"), (InvalidRequest("no", param="input"), "invalid_prompt")],
)
@pytest.mark.parametrize("begun", [True, False])
def test_a_failure(error: Any, code: str, begun: bool) -> None:
    """The error with our own code, then the failed response with one that OpenAI knows."""
    kept: list[Json] = []
    builder = ResponseEvents(HEAD, **options(keep=kept.append))
    chunks = builder.started(0, 7, None)
    if begun:
        chunks += builder.delta(0, TokenDelta(0, "Hel", [1]))
    told = read(chunks + builder.failed(error))
    assert kinds(told)[:2] == BEGIN
    assert kinds(told)[-2:] == ["error", "failed"]
    assert (told[-2]["code"], told[-2]["message"], told[-2]["param"]) == (
        error.code,
        error.message,
        error.param,
    )
    failed = told[-1]["response"]
    assert (failed["status"], failed["error"]) == (
        "failed",
        {"code": code, "message": error.message},
    )
    assert kept == []


def test_it_is_kept_before_it_is_told() -> None:
    """The finished response, once; and what was dropped of the conversation stands in it."""
    kept: list[Json] = []
    builder = ResponseEvents(HEAD, **options(keep=kept.append))
    builder.truncated = Truncated(2, 1, 30)
    builder.started(0, 7, None)
    builder.delta(0, TokenDelta(0, "Hi", [1], "stop"))
    assert kept == []
    last = read_last(builder.end())
    assert kept == [last["response"]]
    assert kept[0]["truncated"] == {"dropped_messages": 2, "dropped_turns": 1, "dropped_tokens": 30}


def read_last(chunks: list[bytes]) -> Json:
    event: Json = json.loads(chunks[-1])
    checked(event["response"])
    return event
