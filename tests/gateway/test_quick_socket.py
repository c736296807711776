"""Tests of `tricorn.gateway.http.quick_socket`, and of who gets one."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

if os.name != "posix":
    pytest.skip("gunicorn and gevent serve on posix", allow_module_level=True)

import gevent
import gevent.socket
from gunicorn.workers.ggevent import GeventWorker

from tricorn.gateway.http.gunicorn_worker import Worker
from tricorn.gateway.http.patience import Patience, TooSlow
from tricorn.gateway.http.quick_socket import QuickSocket, quick

Pair = tuple[QuickSocket, Any]


@pytest.fixture
def pair() -> Iterator[Callable[[Patience], Pair]]:
    """Makes the server's end and the client's."""
    made: list[Any] = []

    def make(patience: Patience) -> Pair:
        plain, far = gevent.socket.socketpair()
        near = quick(plain, patience)
        made.extend((near, far))
        return near, far

    yield make
    for sock in made:
        sock.close()


@pytest.mark.parametrize("size", [0, 1, 200, 3_000_000])
def test_everything_arrives(pair: Callable[[Patience], Pair], size: int) -> None:
    """Also what is larger than the buffers of both ends."""
    near, far = pair(Patience())
    sent = os.urandom(size)
    got = bytearray()

    def read() -> None:
        while data := far.recv(65536):
            got.extend(data)

    reader = gevent.spawn(read)
    near.sendall(sent)
    near.close()
    reader.join()
    assert got == sent


def test_a_client_that_has_left_is_an_error(pair: Callable[[Patience], Pair]) -> None:
    """As with gevent's own."""
    near, far = pair(Patience())
    far.close()
    with pytest.raises(BrokenPipeError):
        near.sendall(b"x" * 100)


def test_a_client_that_takes_nothing(pair: Callable[[Patience], Pair]) -> None:
    """It is waited for until its time is over."""
    near, _far = pair(Patience(send_s=0.02, rate=10**9))
    with pytest.raises(TooSlow, match="not taken"):
        near.sendall(b"x" * 10_000_000)
    with pytest.raises(BrokenPipeError):
        near.sendall(b"x")


def test_a_client_that_takes_little(pair: Callable[[Patience], Pair]) -> None:
    """Each byte it takes earns nothing: all of a piece has its time."""
    near, far = pair(Patience(send_s=0.1, rate=10**9))

    def sip() -> None:
        while far.recv(1000):
            gevent.sleep(0.005)

    reader = gevent.spawn(sip)
    with pytest.raises(TooSlow):
        near.sendall(b"x" * 10_000_000)
    near.close()
    reader.kill()


def test_a_client_that_sends_nothing(pair: Callable[[Patience], Pair]) -> None:
    """The wait ends with the phase."""
    near, far = pair(Patience(head_s=0.02))
    far.sendall(b"GET")
    assert near.recv(100) == b"GET"
    with pytest.raises(TooSlow, match="no head in time"):
        near.recv(100)


def test_every_plain_connection_gets_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker hands connections on to gunicorn with it, and forgets them then."""
    handed: list[type] = []
    monkeypatch.setattr(GeventWorker, "handle", lambda *args: handed.append(type(args[2])))
    near, far = gevent.socket.socketpair()
    worker = Worker.__new__(Worker)
    worker._clients = {}
    worker.handle(None, near, None)
    far.close()
    assert handed == [QuickSocket]
    assert worker._clients == {}
