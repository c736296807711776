"""Every kind of stream as bytes: names, lines, comments and errors, whatever is in them."""

from __future__ import annotations

import json

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.gateway.test_sse import AWKWARD, TEXTS

from tricorn.errors import EngineLost, TricornError
from tricorn.gateway.answers import sse
from tricorn.manager.protocol.calls import Progress

SENTENCES = TEXTS.map("".join)
FRAMINGS = [sse.OPENAI, sse.OLLAMA, sse.anthropic("req_1")]


def named(data: bytes) -> list[tuple[str, str]]:
    """Names and data of events, as a strict reader of UTF-8 has them."""
    *parts, rest = data.decode().split("\n\n")
    assert rest == ""
    found = []
    for part in parts:
        name, text = part.split("\n")
        found.append((name.removeprefix("event: "), text.removeprefix("data: ")))
    return found


@settings(deadline=None)
@given(texts=st.lists(SENTENCES, max_size=5))
def test_events_have_their_names(texts: list[str]) -> None:
    """One event a chunk, with its type before it, whatever else is in the chunk."""
    values = [{"type": f"a.b_{n}", "text": text} for n, text in enumerate(texts)]
    data = sse.events([orjson.dumps(value) for value in values])
    assert [(name, json.loads(text)) for name, text in named(data)] == [
        (value["type"], value) for value in values
    ]


@settings(deadline=None)
@given(texts=st.lists(SENTENCES, max_size=5))
def test_lines(texts: list[str]) -> None:
    """One object a line, also for clients whose lines end at more than JSON's do."""
    values = [{"response": text} for text in texts]
    data = sse.lines([orjson.dumps(value) for value in values])
    for lines in (data.decode().splitlines(), data.split(b"\n")[:-1]):
        assert [json.loads(line) for line in lines] == values


@settings(deadline=None)
@given(
    text=SENTENCES,
    share=st.none() | st.floats(0, 1),
    eta_s=st.none() | st.floats(0, 1e9),
)
def test_comments_are_one_line(text: str, share: float | None, eta_s: float | None) -> None:
    """What the manager says while a request waits ends no event and begins none."""
    data = sse.OPENAI.silence(Progress(1, text, share, eta_s))
    assert data.startswith(b": ")
    assert data.endswith(b"\n\n")
    assert len(data.decode().splitlines()) == 2
    assert b"\r" not in data


@pytest.mark.parametrize("framing", FRAMINGS, ids=["openai", "ollama", "anthropic"])
def test_errors_are_whole(framing: sse.Framing) -> None:
    """An error in the middle of a stream is one event of it, whatever it says."""

    @settings(deadline=None)
    @given(said=st.lists(st.one_of(st.text(), AWKWARD), min_size=1, max_size=4).map("".join))
    def whole(said: str) -> None:
        error: TricornError = EngineLost(said)
        lines = [line for line in framing.error(error).decode().split("\n") if line]
        told = json.loads(lines[-1].removeprefix("data: "))
        assert said in json.dumps(told, ensure_ascii=False) or said in _texts(told)
        assert len(lines) == (2 if lines[0].startswith("event: ") else 1)

    whole()


def _texts(value: object) -> list[str]:
    if isinstance(value, dict):
        return [text for inner in value.values() for text in _texts(inner)]
    return [value] if isinstance(value, str) else []
