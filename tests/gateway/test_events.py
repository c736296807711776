"""`GET /v1/events`, and what is counted of requests."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import msgspec
import pytest
from flask import Flask
from tests.gateway.engines import FakeManager
from tests.polling import wait_until

from tricorn.errors import ManagerUnavailable
from tricorn.manager.protocol.news import Event
from tricorn.manager.protocol.usage import Usage


@pytest.fixture
def manager() -> Iterator[FakeManager]:
    fake = FakeManager({"echo": {}})
    yield fake
    fake.close()


def event(number: int, kind: str = "replica.state") -> Event:
    return Event(number, 1.5, kind, "a", {"state": "READY"})


def read(chunks: Iterator[bytes]) -> list[Any]:
    """Events up to the stream's end."""
    text = b"".join(chunks).decode()
    lines = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data")]
    return [json.loads(line) for line in lines]


def test_events_as_they_come(app: Flask, manager: FakeManager) -> None:
    """Each with its number for an id; the last one ends the stream, and nothing listens then."""
    answer = app.test_client().get("/v1/events")
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    chunks = answer.iter_encoded()
    assert next(chunks) == b"retry: 1000\n\n"
    [inbox] = manager.listening.values()
    inbox.put(event(7))
    assert next(chunks).startswith(b"id: 7\ndata: {")
    inbox.put(event(8, "manager.stopping"))
    assert [one["id"] for one in read(chunks)] == [8]
    assert manager.listening == {}
    assert manager.orders == []


def test_a_client_that_leaves(app: Flask, manager: FakeManager) -> None:
    """Ends the stream, also where it had asked for what it missed: a connection is watched by one
    at a time."""
    manager.answers["events.recent"] = {"events": []}
    ours, theirs = socket.socketpair()
    with ours:
        answer = app.test_client().get(
            "/v1/events?after=5", environ_overrides={"werkzeug.socket": ours}
        )
        assert answer.status_code == 200
        chunks = answer.iter_encoded()
        next(chunks)
        theirs.close()
        assert list(chunks) == []
    assert manager.listening == {}


@pytest.mark.parametrize("how", [{"headers": {"Last-Event-ID": "5"}}, {"query_string": "after=5"}])
def test_events_that_were_missed(app: Flask, manager: FakeManager, how: dict[str, Any]) -> None:
    """Are told first, and none of them twice."""
    missed = [msgspec.to_builtins(event(6)), msgspec.to_builtins(event(7))]
    manager.answers["events.recent"] = {"events": missed}
    chunks = app.test_client().get("/v1/events", **how).iter_encoded()
    next(chunks)
    [inbox] = manager.listening.values()
    inbox.put(event(7))
    inbox.put(event(8))
    inbox.put(ManagerUnavailable("gone"))
    told = read(chunks)
    assert [one.get("id") for one in told] == [6, 7, 8, None]
    assert told[0] == {
        "object": "event",
        "id": 6,
        "time": 1.5,
        "kind": "replica.state",
        "model": "a",
        "state": "READY",
    }
    assert told[-1]["error"]["code"] == "manager_unavailable"
    assert manager.orders == [("events.recent", {"after": 5})]


@pytest.mark.parametrize("given", ["x", "-1", "1" * 30])
def test_bad_numbers(http: httpx.Client, manager: FakeManager, given: str) -> None:
    answer = http.get("/v1/events", headers={"Last-Event-ID": given})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "after")
    assert manager.listening == {}


def test_a_closed_stream_listens_no_more(app: Flask, manager: FakeManager) -> None:
    """Also one of which nothing was read."""
    app.test_client().get("/v1/events", buffered=False).close()
    assert manager.listening == {}


def test_a_silent_stream_is_kept_alive(
    make_app: Callable[..., Flask], manager: FakeManager
) -> None:
    app = make_app(sse_keepalive_s=0.02)
    chunks = app.test_client().get("/v1/events").iter_encoded()
    assert next(chunks) == b"retry: 1000\n\n"
    assert next(chunks).startswith(b":")
    chunks.close()


# --- counting -------------------------------------------------------------------------------------


def test_requests_are_counted(
    app: Flask, http: httpx.Client, manager: FakeManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those that use models, with their tokens, when they have ended; together, now and then."""
    body = {"model": "echo", "messages": [{"role": "user", "content": "Hi"}]}
    usage = http.post("/v1/chat/completions", json=body).json()["usage"]
    http.post("/v1/chat/completions", json={"model": "echo"})
    http.get("/v1/models")
    manager.answers["load"] = {}
    http.post("/v1/models/load", json={"model": "echo"})
    told: list[Usage] = []

    def all_told() -> bool:
        while not manager.usage.empty():
            told.append(manager.usage.get())
        return sum(one.requests for one in told) == 2

    wait_until(all_told)
    total = told[0] if len(told) == 1 else told[0].plus(told[1])
    assert (total.requests, total.failed) == (2, 0)
    assert total.prompt_tokens == usage["prompt_tokens"]
    assert total.completion_tokens == usage["completion_tokens"]
    assert total.seconds > 0


def test_what_cannot_be_told_is_kept(make_app: Callable[..., Flask]) -> None:
    """While the manager is away."""

    class Away(FakeManager):
        refused = 0

        def report(self, usage: Usage) -> bool:
            if self.refused < 1:
                self.refused += 1
                return False
            return super().report(usage)

    own = Away({"echo": {}})
    make_app(own).test_client().post("/v1/chat/completions", json={}).close()
    assert own.usage.get(timeout=10).requests == 1
    assert own.refused == 1
