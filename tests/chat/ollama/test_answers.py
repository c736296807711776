"""Ollama's answers, built from engine deltas."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from tricorn.chat.choice import ToolUse
from tricorn.chat.ollama import answers, vectors
from tricorn.chat.ollama.answers import OllamaChunks, OllamaWhole
from tricorn.chat.ollama.times import Stopwatch, date
from tricorn.chat.pieces import Reading
from tricorn.chat.response import Builder, Head
from tricorn.engines.request import TokenDelta, TokenLogprob

HEAD = Head("id-1", 1700000000, "m", "fp_1")
HERMES = Reading(tools="hermes", reasoning="think")
USE = ToolUse([{"type": "function", "function": {"name": "f", "parameters": {}}}])
LOGPROB = TokenLogprob(b"a", -0.5, 97, [TokenLogprob(b"a", -0.5, 97)])
DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def ticks() -> Iterator[int]:
    """10, 20, 30, …"""
    return iter(range(10, 10_000, 10))


def options(wording: answers.Wording = answers.message, **more: Any) -> dict[str, Any]:
    clock = ticks()
    watch = Stopwatch(3, lambda: next(clock))
    return {"model": "m:latest", "wording": wording, "watch": watch} | more


def feed(builder: Builder, *deltas: TokenDelta, reading: Reading | None = None) -> list[Any]:
    """Everything the builder sends for a 3-token prompt and these deltas, parsed."""
    if reading is not None:
        builder.read_as(reading)
    chunks = builder.started(0, 3, None)
    for delta in deltas:
        chunks += builder.delta(0, delta)
    return [undated(orjson.loads(chunk)) for chunk in chunks + builder.end()]


def undated(answer: dict[str, Any]) -> dict[str, Any]:
    assert DATE.fullmatch(answer.pop("created_at"))
    assert answer.pop("model") == "m:latest"
    return answer


def texts(*pieces: str, reason: Any = "stop", stop_reason: str | None = None) -> list[TokenDelta]:
    last = TokenDelta(0, "", [9], reason, stop_reason)
    return [TokenDelta(0, piece, [number]) for number, piece in enumerate(pieces)] + [last]


def test_stream() -> None:
    """A chunk a step, nothing for one without text, then what it took."""
    first, second, last = feed(OllamaChunks(HEAD, **options()), *texts("He", "", "llo"))
    assert first == {"message": {"role": "assistant", "content": "He"}, "done": False}
    assert second == {"message": {"role": "assistant", "content": "llo"}, "done": False}
    assert last == {
        "message": {"role": "assistant", "content": ""},
        "done": True,
        "done_reason": "stop",
        # begun at 3, the model at 10, the prompt at 20, the first token at 30, the end at 40
        "total_duration": 47,
        "load_duration": 7,
        "prompt_eval_count": 3,
        "prompt_eval_duration": 10,
        "eval_count": 4,
        "eval_duration": 10,
    }


def test_whole() -> None:
    """All chunks in one."""
    builder = OllamaWhole(HEAD, **options())
    assert feed(builder, *texts("He", "llo", reason="length")) == []
    answer = undated(builder.result())
    assert answer["message"] == {"role": "assistant", "content": "Hello"}
    assert (answer["done"], answer["done_reason"]) == (True, "length")
    assert (answer["prompt_eval_count"], answer["eval_count"]) == (3, 3)
    assert "logprobs" not in answer


def test_generate() -> None:
    """The same under `response`; thoughts stand beside it."""
    builder = OllamaWhole(HEAD, **options(answers.response))
    deltas = texts("<think>", "Hm.", "</think>", "Yes.")
    feed(builder, *deltas, reading=Reading(reasoning="think"))
    answer = undated(builder.result())
    assert (answer["response"], answer["thinking"]) == ("Yes.", "Hm.")
    chunks = feed(
        OllamaChunks(HEAD, **options(answers.response)), *deltas, reading=Reading(reasoning="think")
    )
    assert chunks[0] == {"response": "", "thinking": "Hm.", "done": False}
    assert chunks[1] == {"response": "Yes.", "done": False}
    assert chunks[2]["response"] == ""


CALLS = (
    "Now:",
    '<tool_call>{"name": "f", ',
    '"arguments": {"x"',
    ": 1}}</tool_call>",
    '<tool_call>{"name": "f", "arguments": {}}</tool_call>',
)


def test_calls_in_a_stream() -> None:
    """Each is sent once, whole, its arguments as an object; the reason stays `stop`."""
    chunks = feed(OllamaChunks(HEAD, **options(use=USE)), *texts(*CALLS), reading=HERMES)
    assert "".join(chunk["message"]["content"] for chunk in chunks) == "Now:"
    calls = [call for chunk in chunks for call in chunk["message"].get("tool_calls", [])]
    assert [call["function"] for call in calls] == [
        {"index": 0, "name": "f", "arguments": {"x": 1}},
        {"index": 1, "name": "f", "arguments": {}},
    ]
    assert len({call["id"] for call in calls}) == 2
    assert chunks[-1]["done_reason"] == "stop"
    assert "tool_calls" not in chunks[-1]["message"]


def test_calls_in_a_whole_answer() -> None:
    builder = OllamaWhole(HEAD, **options(use=USE))
    feed(builder, *texts(*CALLS), reading=HERMES)
    message = builder.result()["message"]
    assert message["content"] == "Now:"
    assert [call["function"]["arguments"] for call in message["tool_calls"]] == [{"x": 1}, {}]


@pytest.mark.parametrize("piece", ['{"x"', '{"x": }', "[1]"])
def test_call_without_an_object(piece: str) -> None:
    """Half a call, or one that is no JSON, is no call: it is shown, so that nothing is lost."""
    builder = OllamaWhole(HEAD, **options(use=USE))
    text = '<tool_call>{"name": "f", "arguments": ' + piece
    feed(builder, *texts(text, reason="length"), reading=HERMES)
    message = builder.result()["message"]
    assert "tool_calls" not in message
    assert '{"name": "f"' in message["content"]
    assert builder.result()["done_reason"] == "length"


def test_logprobs() -> None:
    """In the chunk of their tokens; alternatives only where there are some."""
    plain = TokenLogprob(b"b", -1.0, 98)
    deltas = [
        TokenDelta(0, "a", [97], logprobs=[LOGPROB]),
        TokenDelta(0, "", [98], "stop", logprobs=[plain]),
    ]
    shown = {"token": "a", "logprob": -0.5, "bytes": [97]}
    expected = [
        shown | {"top_logprobs": [shown]},
        {"token": "b", "logprob": -1.0, "bytes": [98]},
    ]
    chunks = feed(OllamaChunks(HEAD, **options(logprobs=True)), *deltas)
    assert [chunk.get("logprobs") for chunk in chunks] == [[expected[0]], [expected[1]], None]
    builder = OllamaWhole(HEAD, **options(logprobs=True))
    feed(builder, *deltas)
    assert builder.result()["logprobs"] == expected
    unasked = feed(OllamaChunks(HEAD, **options()), *deltas)
    assert not any("logprobs" in chunk for chunk in unasked)


def test_another_lease() -> None:
    """After a retry the times are those of the engine that answered."""
    clock = ticks()
    watch = Stopwatch(0, lambda: next(clock))
    watch.lease()
    watch.taken()
    watch.token()
    watch.lease()
    assert watch.loaded() == 40
    watch.taken()
    watch.token()
    assert watch.evaluated() == (10, 10)


def test_no_token() -> None:
    clock = ticks()
    watch = Stopwatch(0, lambda: next(clock))
    watch.lease()
    watch.taken()
    assert watch.evaluated() == (10, 0)


def test_date() -> None:
    assert date(1700000000) == "2023-11-14T22:13:20.000000Z"


def test_embeddings() -> None:
    clock = ticks()
    watch = Stopwatch(0, lambda: next(clock))
    watch.lease()
    body = b"".join(vectors.embeddings("m", [b"\0\0\x80\x3f", b"\0\0\0\0"], 5, watch))
    assert orjson.loads(body) == {
        "model": "m",
        "embeddings": [[1.0], [0.0]],
        "total_duration": 20,
        "load_duration": 10,
        "prompt_eval_count": 5,
    }
