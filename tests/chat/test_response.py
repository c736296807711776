"""OpenAI's objects, built from engine deltas."""

from __future__ import annotations

from typing import Any

import orjson

from tricorn.chat.chat_completion import ChatChunks, ChatCompletion
from tricorn.chat.response import Builder, Head, fingerprint, new_id
from tricorn.chat.text_completion import TextChunks, TextCompletion
from tricorn.engines.request import TokenDelta, TokenLogprob
from tricorn.engines.spec import EngineCapabilities, LoadedModel

HEAD = Head("id-1", 1700000000, 'mo"del', "fp_1")
COMMON = {"id": "id-1", "created": 1700000000, "model": 'mo"del', "system_fingerprint": "fp_1"}
LOGPROBS = [
    TokenLogprob(b"a", -0.5, 97, [TokenLogprob(b"a", -0.5, 97), TokenLogprob(b"\xe4", -2.0, 228)])
]


def feed(builder: Builder, *deltas: TokenDelta) -> list[dict[str, Any]]:
    """Everything the builder sends for a 3-token prompt and these deltas, parsed."""
    chunks = builder.started(0, 3, None)
    for delta in deltas:
        chunks += builder.delta(0, delta)
    return [orjson.loads(chunk) for chunk in chunks + builder.end()]


def test_chat_chunks() -> None:
    """Role, content, reason; nulls where OpenAI has them; no usage unless asked for."""
    chunks = feed(ChatChunks(HEAD), TokenDelta(0, 'h"\n', [1]), TokenDelta(0, "", [2], "stop"))
    common = COMMON | {"object": "chat.completion.chunk"}

    def choice(delta: dict[str, Any], finish: str | None) -> list[dict[str, Any]]:
        return [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}]

    assert chunks == [
        common | {"choices": choice({"role": "assistant", "content": "", "refusal": None}, None)},
        common | {"choices": choice({"content": 'h"\n'}, None)},
        common | {"choices": choice({}, "stop")},
    ]


def test_text_with_the_end_comes_before_the_reason() -> None:
    """A last delta that has text gives two chunks."""
    chunks = feed(ChatChunks(HEAD), TokenDelta(0, "x", [1], "length"))
    assert [c["choices"][0]["delta"].get("content") for c in chunks] == ["", "x", None]
    assert [c["choices"][0]["finish_reason"] for c in chunks] == [None, None, "length"]


def test_held_back_text_sends_nothing() -> None:
    """A delta without text has no chunk of its own, but begins the answer."""
    chunks = feed(ChatChunks(HEAD), TokenDelta(0, "", [1]), TokenDelta(0, "", [2]))
    assert len(chunks) == 1
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"


def test_usage_chunk() -> None:
    """With include_usage: null on every chunk, and a last one without choices."""
    builder = ChatChunks(HEAD, n=2, include_usage=True)
    chunks = feed(
        builder,
        TokenDelta(0, "a", [1, 2], "stop", cached_tokens=2),
        TokenDelta(1, "b", [3], "length", cached_tokens=3),
    )
    assert all(chunk["usage"] is None for chunk in chunks[:-1])
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"] == {
        "prompt_tokens": 3,
        "completion_tokens": 3,
        "total_tokens": 6,
        "prompt_tokens_details": {"cached_tokens": 2, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def test_chat_logprobs() -> None:
    """Token, bytes and alternatives; a token that is part of a character is written as bytes."""
    entry = {
        "token": "a",
        "logprob": -0.5,
        "bytes": [97],
        "top_logprobs": [
            {"token": "a", "logprob": -0.5, "bytes": [97]},
            {"token": "\\xe4", "logprob": -2.0, "bytes": [228]},
        ],
    }
    delta = TokenDelta(0, "a", [97], logprobs=LOGPROBS)
    chunks = feed(ChatChunks(HEAD, logprobs=True), delta)
    assert chunks[1]["choices"][0]["logprobs"] == {"content": [entry], "refusal": None}
    whole = ChatCompletion(HEAD, logprobs=True)
    feed(whole, delta, TokenDelta(0, "", [256], "stop", logprobs=[TokenLogprob(b"", -0.1, 256)]))
    assert whole.result()["choices"][0]["logprobs"] == {"content": [entry], "refusal": None}


def test_impossible_tokens_have_openais_floor() -> None:
    """JSON has no infinity: -9999."""
    entries = [TokenLogprob(b"a", float("-inf"), 1), TokenLogprob(b"b", float("nan"), 2)]
    whole = ChatCompletion(HEAD, logprobs=True)
    feed(whole, TokenDelta(0, "ab", [1, 2], "stop", logprobs=entries))
    content = whole.result()["choices"][0]["logprobs"]["content"]
    assert [entry["logprob"] for entry in content] == [-9999.0, -9999.0]


def test_chat_completion() -> None:
    """The whole object, nulls included."""
    builder = ChatCompletion(HEAD)
    assert feed(builder, TokenDelta(0, "a", [1]), TokenDelta(0, "b", [2], "stop")) == []
    result = builder.result()
    assert result.pop("usage")["total_tokens"] == 5
    assert result == COMMON | {
        "object": "chat.completion",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "ab",
                    "refusal": None,
                    "annotations": [],
                },
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
    }


def test_text_chunks() -> None:
    """Text and reason in one chunk, usage at the end."""
    chunks = feed(TextChunks(HEAD, include_usage=True), TokenDelta(0, "a", [1], "stop"))
    common = COMMON | {"object": "text_completion"}
    choice = {"index": 0, "text": "a", "logprobs": None, "finish_reason": "stop"}
    assert chunks[0] == common | {"choices": [choice], "usage": None}
    assert chunks[1]["usage"]["completion_tokens"] == 1


def test_legacy_logprobs_count_characters() -> None:
    """Offsets are of characters, also inside of one; the chosen token is an alternative too."""
    deltas = [
        TokenDelta(0, "é", [1, 2], logprobs=[TokenLogprob(b"\xc3", -1), TokenLogprob(b"\xa9", -2)]),
        TokenDelta(0, "b", [3], "stop", logprobs=[TokenLogprob(b"b", -3, 3, LOGPROBS[0].top)]),
    ]
    whole = TextCompletion(HEAD, logprobs=True)
    feed(whole, *deltas)
    assert whole.result()["choices"][0]["logprobs"] == {
        "tokens": ["bytes:\\xc3", "bytes:\\xa9", "b"],
        "token_logprobs": [-1.0, -2.0, -3.0],
        "top_logprobs": [
            {"bytes:\\xc3": -1.0},
            {"bytes:\\xa9": -2.0},
            {"a": -0.5, "bytes:\\xe4": -2.0, "b": -3.0},
        ],
        "text_offset": [0, 0, 1],
    }
    chunks = feed(TextChunks(HEAD, logprobs=True), *deltas)
    assert chunks[1]["choices"][0]["logprobs"]["text_offset"] == [1]


def test_prompts_times_n() -> None:
    """Choices are numbered prompt by prompt; usage sums the prompts; echo goes to each choice."""
    builder = TextCompletion(HEAD, n=2, prompts=2, echo=True)
    for position, text in enumerate(("p", "q")):
        builder.started(position, 5, text)
        for index in range(2):
            builder.delta(position, TokenDelta(index, str(index), [1], "stop", cached_tokens=4))
    result = builder.result()
    assert [(c["index"], c["text"]) for c in result["choices"]] == [
        (0, "p0"), (1, "p1"), (2, "q0"), (3, "q1"),
    ]  # fmt: skip
    assert result["usage"]["prompt_tokens"] == 10
    assert result["usage"]["prompt_tokens_details"]["cached_tokens"] == 8


def test_ids_and_fingerprints() -> None:
    """Ids are new each time; a fingerprint is the same until the model or how it runs changes."""
    assert new_id("chatcmpl") != new_id("chatcmpl")
    model = LoadedModel(4096, 257, 16, EngineCapabilities())
    assert fingerprint("m", model) == fingerprint("m", model)
    assert fingerprint("m", model) != fingerprint("n", model)
    smaller = LoadedModel(2048, 257, 16, EngineCapabilities())
    assert fingerprint("m", model) != fingerprint("m", smaller)
