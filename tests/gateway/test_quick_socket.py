"""Tests of `tricorn.gateway.quick_socket`, and of who gets one."""

from __future__ import annotations

import os

import pytest

if os.name != "posix":
    pytest.skip("gunicorn and gevent serve on posix", allow_module_level=True)

import gevent
import gevent.socket
from gunicorn.workers.ggevent import GeventWorker

from tricorn.gateway.gunicorn_worker import Worker
from tricorn.gateway.quick_socket import QuickSocket


@pytest.mark.parametrize("size", [0, 1, 200, 3_000_000])
def test_everything_arrives(size: int) -> None:
    """Also what is larger than the buffers of both ends."""
    near, far = gevent.socket.socketpair()
    near.__class__ = QuickSocket
    sent = os.urandom(size)
    got = bytearray()

    def read() -> None:
        while data := far.recv(65536):
            got.extend(data)

    reader = gevent.spawn(read)
    near.sendall(sent)
    near.close()
    reader.join()
    far.close()
    assert got == sent


def test_a_client_that_has_left_is_an_error() -> None:
    """As with gevent's own."""
    near, far = gevent.socket.socketpair()
    near.__class__ = QuickSocket
    far.close()
    with pytest.raises(BrokenPipeError):
        near.sendall(b"x" * 100)
    near.close()


def test_every_plain_connection_gets_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker hands connections on to gunicorn with it."""
    handed: list[type] = []
    monkeypatch.setattr(GeventWorker, "handle", lambda *args: handed.append(type(args[2])))
    near, far = gevent.socket.socketpair()
    Worker.handle(Worker.__new__(Worker), None, near, None)
    near.close()
    far.close()
    assert handed == [QuickSocket]
