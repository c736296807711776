"""Each way of noticing that a client has gone, on plain threads."""

from __future__ import annotations

import queue
import select
import socket
from collections.abc import Callable

import pytest

from tricorn.gateway.http import disconnect
from tricorn.gateway.http.disconnect import GONE, Watcher

WAYS: list[Callable[[], Watcher]] = [disconnect.PeekWatcher]
if hasattr(select, "epoll"):
    WAYS.append(disconnect.create)


@pytest.fixture(params=WAYS)
def watcher(request: pytest.FixtureRequest) -> Watcher:
    made: Watcher = request.param()
    return made


def test_a_close_is_told(watcher: Watcher) -> None:
    """Also behind bytes that the client had sent ahead."""
    ours, theirs = socket.socketpair()
    inbox: queue.SimpleQueue[object] = queue.SimpleQueue()
    ticket = watcher.watch(ours, inbox)
    theirs.close()
    assert inbox.get(timeout=5) is GONE
    watcher.unwatch(ticket)
    ours.close()


def test_a_client_that_left_before_is_told(watcher: Watcher) -> None:
    """A close that came before the watch is not missed."""
    ours, theirs = socket.socketpair()
    theirs.close()
    inbox: queue.SimpleQueue[object] = queue.SimpleQueue()
    ticket = watcher.watch(ours, inbox)
    assert inbox.get(timeout=5) is GONE
    watcher.unwatch(ticket)
    watcher.unwatch(ticket)
    ours.close()


def test_bytes_are_no_close(watcher: Watcher) -> None:
    """A pipelined request stays where it is, and means that the client is there."""
    ours, theirs = socket.socketpair()
    inbox: queue.SimpleQueue[object] = queue.SimpleQueue()
    ticket = watcher.watch(ours, inbox)
    theirs.sendall(b"GET /")
    with pytest.raises(queue.Empty):
        inbox.get(timeout=0.4)
    assert ours.recv(100) == b"GET /"
    watcher.unwatch(ticket)
    ours.close()
    theirs.close()


def test_unwatched_connections_are_quiet(watcher: Watcher) -> None:
    """After unwatch, nothing comes."""
    ours, theirs = socket.socketpair()
    inbox: queue.SimpleQueue[object] = queue.SimpleQueue()
    watcher.unwatch(watcher.watch(ours, inbox))
    theirs.close()
    with pytest.raises(queue.Empty):
        inbox.get(timeout=0.4)
    ours.close()
