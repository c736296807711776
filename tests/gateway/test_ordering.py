"""Orders to the manager: what ends them, and what a client is sent meanwhile."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator

import pytest
from flask import Flask
from tests.gateway.engines import FakeManager

from tricorn.errors import Conflict
from tricorn.gateway.answers.errors import ClientGone
from tricorn.gateway.orders.ordering import Ordering
from tricorn.gateway.services import EXTENSION, Services
from tricorn.manager.protocol.calls import Progress, Told


@pytest.fixture
def manager() -> Iterator[FakeManager]:
    fake = FakeManager({})
    fake.answers["wait"] = []
    yield fake
    fake.close()


@pytest.fixture
def services(make_app: Callable[..., Flask], manager: FakeManager) -> Services:
    found: Services = make_app(manager, sse_keepalive_s=0.02).extensions[EXTENSION]
    return found


def follow(ordering: Ordering) -> None:
    while True:
        ordering.next()


def test_a_client_that_hangs_up_withdraws(services: Services, manager: FakeManager) -> None:
    ours, theirs = socket.socketpair()
    ordering = Ordering(services, "wait", {}, ours)
    theirs.close()
    with pytest.raises(ClientGone):
        follow(ordering)
    ordering.close()
    ordering.close()
    assert manager.withdrawn == [1]
    ours.close()


def test_silence_is_told(services: Services, manager: FakeManager) -> None:
    """So that a stream can be kept alive."""
    ordering = Ordering(services, "wait", {})
    assert ordering.next() is None
    ordering.close()


@pytest.mark.parametrize("answer", [{"a": 1}, Conflict("no")])
def test_what_is_answered_is_not_withdrawn(
    services: Services, manager: FakeManager, answer: object
) -> None:
    half = Progress(1, "half", 0.5)
    manager.answers["do"] = [half, answer]
    ordering = Ordering(services, "do", {"x": 1})
    assert ordering.next() == half
    if isinstance(answer, Conflict):
        with pytest.raises(Conflict):
            ordering.next()
    else:
        assert ordering.next() == Told(1, {"a": 1})
    ordering.close()
    assert manager.withdrawn == []
    assert manager.orders == [("do", {"x": 1})]


def test_a_stream_that_is_silent_is_kept_alive(
    make_app: Callable[..., Flask], manager: FakeManager
) -> None:
    """With a comment; closed, its order is withdrawn."""
    manager.answers["load"] = []
    app = make_app(manager, sse_keepalive_s=0.02)
    body = {"model_name": "a", "stream": True}
    answer = app.test_client().post("/v1/models/load", json=body)
    chunks = answer.iter_encoded()
    assert next(chunks).startswith(b":")
    assert next(chunks).startswith(b":")
    answer.close()
    assert manager.withdrawn == [1]
