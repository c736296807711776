"""Streams as bytes: any text comes out of a client's parser as it went in, however the network cut
it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from openai._streaming import SSEDecoder
from tests.chat.tools.reading import TOOLS
from tests.chat.tools.written import written

from tricorn.chat.chat_completion import ChatChunks
from tricorn.chat.choice import ToolUse
from tricorn.chat.pieces import Reading
from tricorn.chat.response import Head
from tricorn.engines.request import TokenDelta
from tricorn.gateway.answers import sse

AWKWARD = st.sampled_from([
    "\n", "\r", "\r\n\r\n", "\x00", "\x0b", "\x85", "\u2028", "\u2029", "\ufeff", "\U0001f642",
    "\U0001f469\u200d\U0001f467", "\\", '"', "data: [DONE]\n\n", ": keep-alive\n\n",
    "event: error\n", "\x1b", "\x7f", "\ue000", "\U0010ffff", "\xe9", "e\u0301",
])  # fmt: skip
TEXTS = st.lists(st.one_of(st.text(), AWKWARD), max_size=8)
CUTS = st.lists(st.integers(1, 4000), max_size=10)


def events(data: bytes) -> list[str]:
    """The data of a stream's events, by the HTML standard's rules for event streams."""
    found: list[str] = []
    lines: list[str] = []
    for line in re.split("\r\n|\n|\r", data.decode().removeprefix("\ufeff")):
        if not line:
            if lines:
                found.append("\n".join(lines))
            lines = []
            continue
        field, _, value = line.partition(":")
        if field == "data":
            lines.append(value.removeprefix(" "))
    return found


def network(data: bytes, cuts: list[int]) -> Iterator[bytes]:
    places = [0, *sorted({min(at, len(data)) for at in cuts}), len(data)]
    return (data[a:b] for a, b in pairwise(places))


def streamed(chunks: list[bytes], cuts: list[int]) -> list[Any]:
    """What a client gets of the chunks, of two parsers the same."""
    frames = [sse.OPENAI.frame([chunk]) + sse.OPENAI.keep_alive for chunk in chunks]
    data = b"".join(frames) + sse.OPENAI.done
    found = events(data)
    by_sdk = [event.data for event in SSEDecoder().iter_bytes(network(data, cuts))]
    assert by_sdk == found
    assert found.pop() == "[DONE]"
    assert found == [chunk.decode() for chunk in chunks]
    assert sse.OPENAI.frame(chunks) == b"".join(sse.OPENAI.frame([chunk]) for chunk in chunks)
    return [json.loads(event)["choices"][0]["delta"] for event in found]


def answer(texts: list[str], reading: Reading | None = None) -> list[bytes]:
    builder = ChatChunks(Head("chatcmpl-1", 1, "m", "fp"), use=ToolUse(TOOLS))
    if reading is not None:
        builder.read_as(reading)
    chunks = []
    for number, text in enumerate([*texts, ""]):
        reason = "stop" if number == len(texts) else None
        chunks += builder.delta(0, TokenDelta(0, text, [1], reason))  # type: ignore[arg-type]
    return chunks


@settings(deadline=None)
@given(texts=TEXTS, cuts=CUTS)
def test_any_text(texts: list[str], cuts: list[int]) -> None:
    """Line ends of every kind, null characters and the like are content, and end no event."""
    deltas = streamed(answer(texts), cuts)
    said = [delta["content"] for delta in deltas if delta.get("content")]

    assert said == [text for text in texts if text]


@settings(deadline=None)
@given(thoughts=TEXTS, city=TEXTS, cuts=CUTS)
def test_any_thought_and_argument(thoughts: list[str], city: list[str], cuts: list[int]) -> None:
    """The same of thoughts and of the arguments of calls."""
    place = "".join(city)
    call = written("hermes", ("get_weather", {"city": place}))
    thought = "".join(thoughts).strip(" \t\r\n")
    texts = ["<think>", *thoughts, "</think>", *call]
    deltas = streamed(answer(texts, Reading("hermes", "think")), cuts)
    calls = [one["function"] for delta in deltas for one in delta.get("tool_calls", ())]

    assert "".join(delta.get("reasoning", "") for delta in deltas) == thought
    assert not any(delta.get("content") for delta in deltas)
    assert json.loads("".join(one["arguments"] for one in calls)) == {"city": place}
