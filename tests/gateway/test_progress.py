"""What clients see of a wait for a model, by what the manager tells of it."""

from __future__ import annotations

import queue
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from flask import Flask
from tests.gateway.conftest import sdk_for
from tests.gateway.engines import FakeManager, ScriptedWorker

from tricorn.engines.request import SamplingParams
from tricorn.errors import ModelLoadFailed
from tricorn.gateway.answers import sse
from tricorn.gateway.http.heartbeat import SILENCE
from tricorn.gateway.requests.generation import Generation, Job, Leased
from tricorn.gateway.services import EXTENSION
from tricorn.manager.protocol.calls import Progress
from tricorn.worker.protocol import TextPrompt

MESSAGES: Any = [{"role": "user", "content": "Hi"}]
BODY: Any = {"model": "hello", "messages": MESSAGES}
NEVER_S = 3600.0
"""Silence is what a test says."""


class Telling(FakeManager):
    """Says these things to every call before it is granted; `call` stands for its number."""

    def __init__(self, fake: FakeManager, *things: Any) -> None:
        super().__init__({"hello": {}})
        self.add("hello", fake.worker("hello"))
        self._things = things

    def grant(self, model: str, inbox: queue.SimpleQueue[object], call: int) -> None:
        for thing in self._things:
            inbox.put(Progress(call, *thing) if isinstance(thing, tuple) else thing)
        super().grant(model, inbox, call)


@pytest.fixture
def telling(make_app: Callable[..., Flask], manager: FakeManager) -> Callable[..., Flask]:
    def make(*things: Any) -> Flask:
        return make_app(Telling(manager, *things), sse_keepalive_s=NEVER_S)

    return make


def streamed(app: Flask, path: str, **fields: Any) -> bytes:
    transport = httpx.WSGITransport(app=app)  # type: ignore[arg-type]
    with httpx.Client(transport=transport, base_url="http://tricorn") as http:
        answer = http.post(path, json=BODY | {"stream": True} | fields)
    assert answer.status_code == 200
    return answer.content


HALF, MOST = ("loading hello", 0.4, 12.0), ("loading hello", 0.95, 0.2)


def test_a_silent_stream_says_what_it_waits_for(telling: Callable[..., Flask]) -> None:
    """By the newest of it; and once it has begun, at once."""
    app = telling(("looking",), HALF, SILENCE, MOST, SILENCE)
    content = streamed(app, "/v1/chat/completions")
    most = b": loading hello, 95 %, about 1 s left\n\n"
    assert content.startswith(
        b": loading hello, 40 %, about 12 s left\n\n" + most + most + b"data:"
    )
    assert content.endswith(b"data: [DONE]\n\n")


def test_the_same_twice_is_no_news(telling: Callable[..., Flask]) -> None:
    content = streamed(telling(HALF, SILENCE, HALF, HALF), "/v1/completions", prompt="Hi")
    assert content.count(b": loading") == 1


def test_openais_sdk_skips_it(telling: Callable[..., Flask]) -> None:
    with sdk_for(telling(HALF, SILENCE, MOST)) as sdk:
        chunks = list(sdk.chat.completions.create(**BODY, stream=True))
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
        assert text == "Hello, 世界! 👋"
        events = list(sdk.responses.create(model="hello", input="Hi", stream=True))
        assert events[-1].type == "response.completed"
        assert sdk.chat.completions.create(**BODY).choices[0].message.content == text


@pytest.mark.parametrize(
    ("path", "begins", "second"),
    [
        ("/v1/messages", b'event: ping\ndata: {"type":"ping"}\n\nevent: message_start', b"ping\n"),
        ("/api/chat", b' {"model"', b"loading"),
    ],
)
def test_other_families_streams_are_silent_in_their_own_way(
    telling: Callable[..., Flask], path: str, begins: bytes, second: bytes
) -> None:
    content = streamed(telling(HALF, SILENCE, MOST), path, max_tokens=9)
    assert content.startswith(begins)
    assert b"loading" not in content
    assert content.count(second) == begins.count(second)


def test_progress_alone_begins_no_stream(telling: Callable[..., Flask]) -> None:
    """So a failure while it loads is still told by its status."""
    app = telling(HALF, MOST, ModelLoadFailed("it is broken"))
    transport = httpx.WSGITransport(app=app)  # type: ignore[arg-type]
    with httpx.Client(transport=transport, base_url="http://tricorn") as http:
        answer = http.post("/v1/chat/completions", json=BODY | {"stream": True})
    assert answer.status_code == ModelLoadFailed.status
    assert answer.json()["error"]["code"] == "model_load_failed"


def test_progress_of_another_call_is_none(
    make_app: Callable[..., Flask], scripted: ScriptedWorker
) -> None:
    """It was withdrawn, or lost its engine; and nothing is left of it after the lease."""
    own = FakeManager({})
    own.add("m", scripted)
    own.held = queue.SimpleQueue()
    services = make_app(own, sse_keepalive_s=NEVER_S).extensions[EXTENSION]
    generation = Generation(services, Job("m", "r", [TextPrompt("a")], SamplingParams()))
    model, inbox, call = own.held.get(timeout=5)
    inbox.put(Progress(call + 1, "somebody else's"))
    assert generation.next(0.01) is None
    assert generation.progress() is None
    inbox.put(Progress(call, "ours"))
    assert generation.next(0.01) is None
    assert generation.progress() == Progress(call, "ours")
    own.grant(model, inbox, call)
    assert isinstance(generation.next(5), Leased)
    assert generation.progress() is None
    generation.close()
    services.engines.close()


def test_what_is_left_grows_less_by_itself(
    make_app: Callable[..., Flask], scripted: ScriptedWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though the manager says nothing new; and nothing is said of it once it is over."""
    own = FakeManager({"m": {}})
    own.held = queue.SimpleQueue()
    services = make_app(own, sse_keepalive_s=NEVER_S).extensions[EXTENSION]
    generation = Generation(services, Job("m", "r", [TextPrompt("a")], SamplingParams()))
    _, inbox, call = own.held.get(timeout=5)
    inbox.put(Progress(call, "loading m", 0.5, 10.0))
    now = 1000.0
    clock = SimpleNamespace(monotonic=lambda: now)
    monkeypatch.setattr("tricorn.gateway.requests.errand.time", clock)
    assert generation.next(0) is None
    now += 4
    assert generation.progress() == Progress(call, "loading m", 0.5, 6.0)
    now += 8
    assert generation.progress() == Progress(call, "loading m", 0.5, None)
    generation.close()


@pytest.mark.parametrize(
    ("progress", "comment"),
    [
        (Progress(1, "waiting for a place"), b": waiting for a place\n\n"),
        (Progress(1, "loading m", 0.0), b": loading m, 0 %\n\n"),
        (Progress(1, "loading m", None, 90.6), b": loading m, about 91 s left\n\n"),
        (Progress(1, "two\nlines\r\n\ndata: x", 1.0), b": two lines data: x, 100 %\n\n"),
    ],
)
def test_comments(progress: Progress, comment: bytes) -> None:
    """One line, whatever is in it: a second one would be a field."""
    assert sse.OPENAI.silence(progress) == comment
    assert sse.OPENAI.silence(None) == b": keep-alive\n\n"
    assert sse.OLLAMA.silence(progress) == b" "
