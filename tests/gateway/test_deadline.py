"""Tests of `tricorn.gateway.requests.deadline`, and of requests that take too long."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any

import httpx
import pytest
from flask import Flask
from tests.gateway.engines import FakeManager

from tricorn.errors import InvalidRequest
from tricorn.gateway.requests.deadline import HEADER, LATE, Deadlines, seconds

CHAT = "/v1/chat/completions"
ENDLESS: dict[str, Any] = {"model": "endless", "messages": [{"role": "user", "content": "Hi"}]}


@pytest.mark.parametrize(
    ("asked", "most_s", "allowed"),
    [
        (None, 0.0, None),
        (None, 30.0, 30.0),
        ("10", 0.0, 10.0),
        ("10.5", 30.0, 10.5),
        ("60", 30.0, 30.0),
    ],
)
def test_the_sooner_one_counts(asked: str | None, most_s: float, allowed: float | None) -> None:
    """Of the setting and what the client asks for."""
    assert seconds(asked, most_s) == allowed


@pytest.mark.parametrize("asked", ["", "soon", "0", "-1", "nan", "inf", "1,2"])
def test_no_number(asked: str) -> None:
    with pytest.raises(InvalidRequest, match=HEADER):
        seconds(asked, 30.0)


def test_each_is_told_in_its_turn() -> None:
    """Whichever was asked for first; who is done hears nothing."""
    deadlines = Deadlines()
    late: SimpleQueue[object] = SimpleQueue()
    soon: SimpleQueue[object] = SimpleQueue()
    done: SimpleQueue[object] = SimpleQueue()
    now = time.monotonic()
    deadlines.watch(late, now + 0.1)
    ticket = deadlines.watch(done, now + 0.01)
    deadlines.watch(soon, now + 0.02)
    deadlines.forget(ticket)
    deadlines.forget(ticket)
    assert soon.get(timeout=10) is LATE
    assert late.empty()
    assert late.get(timeout=10) is LATE
    with pytest.raises(Empty):
        done.get_nowait()


def test_one_that_is_far_away() -> None:
    """Further than any system waits; the others are told nevertheless, before and after."""
    deadlines = Deadlines()
    soon: SimpleQueue[object] = SimpleQueue()
    deadlines.watch(SimpleQueue(), time.monotonic() + 1e300)
    for _ in range(2):
        deadlines.watch(soon, time.monotonic() + 0.01)
        assert soon.get(timeout=10) is LATE


def test_nothing_is_kept_of_what_ended_in_time() -> None:
    deadlines = Deadlines()
    for _ in range(1000):
        deadlines.forget(deadlines.watch(SimpleQueue(), time.monotonic() + 3600))
    assert len(deadlines._ends) < 100
    assert not deadlines._inboxes


def test_a_whole_answer_that_takes_too_long(http: httpx.Client, manager: FakeManager) -> None:
    """504; nothing of it goes on, and no client of OpenAI's tries again."""
    manager.worker("endless")
    answer = http.post(CHAT, json=ENDLESS, headers={HEADER: "0.2"})
    assert answer.status_code == 504
    assert answer.json()["error"]["code"] == "request_timeout"
    assert answer.headers["x-should-retry"] == "false"
    assert manager.leased == 0


def test_a_stream_that_takes_too_long(make_app: Callable[..., Flask], manager: FakeManager) -> None:
    """It ends with an event that says so, by the setting as well."""
    manager.worker("endless")
    client = make_app(request_timeout_s=0.3).test_client()
    answer = client.post(CHAT, json=ENDLESS | {"stream": True})
    assert answer.status_code == 200
    lines = answer.get_data(as_text=True).splitlines()
    events = [line[6:] for line in lines if line.startswith("data: ")]
    assert json.loads(events[0])["object"] == "chat.completion.chunk"
    assert json.loads(events[-1])["error"]["code"] == "request_timeout"
    assert manager.leased == 0


def test_it_waits_no_longer_for_a_replica(http: httpx.Client, manager: FakeManager) -> None:
    """The call is taken back."""
    manager.held = SimpleQueue()
    try:
        answer = http.post(CHAT, json=ENDLESS, headers={HEADER: "0.05"})
        _, _, call = manager.held.get_nowait()
    finally:
        manager.held = None
    assert answer.status_code == 504
    assert call in manager.withdrawn


def test_anthropic_has_a_type_for_it(http: httpx.Client) -> None:
    asked = ENDLESS | {"max_tokens": 100_000}
    answer = http.post("/v1/messages", json=asked, headers={HEADER: "0.2"})
    assert answer.status_code == 504
    assert answer.json()["error"]["type"] == "timeout_error"


def test_a_wrong_header_is_refused(http: httpx.Client) -> None:
    answer = http.post(CHAT, json=ENDLESS, headers={HEADER: "soon"})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == HEADER
