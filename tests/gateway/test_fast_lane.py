"""Tests of `tricorn.gateway.requests.fast_lane`."""

from __future__ import annotations

import os
import queue
from collections.abc import Iterator
from typing import Any

import pytest

if os.name != "posix":
    pytest.skip("gunicorn and gevent serve on posix", allow_module_level=True)

import gevent.socket

from tricorn.engines.request import TokenDelta
from tricorn.gateway.answers.errors import ClientGone
from tricorn.gateway.http.heartbeat import Pulse
from tricorn.gateway.http.patience import Patience
from tricorn.gateway.http.quick_socket import quick
from tricorn.gateway.requests.fast_lane import Broken, FastLane, Unsent, socket_for
from tricorn.worker.protocol import Delta

Pair = tuple[Any, Any]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """The server's end and the client's."""
    plain, far = gevent.socket.socketpair()
    near = quick(plain, Patience())
    yield near, far
    near.close()
    far.close()


def made(delta: Delta) -> bytes:
    if delta.delta.text == "bad":
        raise ValueError("no such token")
    return delta.delta.text.encode()


def lane_of(near: Any) -> tuple[FastLane, queue.SimpleQueue[object]]:
    inbox: queue.SimpleQueue[object] = queue.SimpleQueue()
    lane = FastLane(near, inbox, Pulse(inbox), made)
    lane.open = True
    return lane, inbox


def delta(text: str) -> Delta:
    return Delta(1, TokenDelta(0, text, [1]))


def test_a_token_is_a_chunk(pair: Pair) -> None:
    """As HTTP/1.1 has it; what adds nothing is no chunk, which would end the stream."""
    near, far = pair
    lane, inbox = lane_of(near)
    assert lane.take(delta("x" * 26))
    assert lane.take(delta(""))
    assert far.recv(100) == b"1a\r\n" + b"x" * 26 + b"\r\n"
    assert inbox.empty()


def test_it_counts_as_a_sign_of_life(pair: Pair) -> None:
    lane, inbox = lane_of(pair[0])
    pulse = Pulse(inbox)
    lane = FastLane(pair[0], inbox, pulse, made)
    lane.open, pulse.alive = True, False
    lane.take(delta("a"))
    assert pulse.alive


def test_only_while_the_handler_waits(pair: Pair) -> None:
    """Else a token would overtake what the handler is about to write."""
    lane, inbox = lane_of(pair[0])
    lane.open = False
    assert not lane.take(delta("a"))
    lane.open = True
    inbox.put("something else has happened")
    assert not lane.take(delta("a"))


def test_what_the_socket_does_not_take(pair: Pair) -> None:
    """The handler writes the rest before anything else; nothing is lost or doubled."""
    near, far = pair
    lane, inbox = lane_of(near)
    texts = [f"{number:06}" * 2000 for number in range(1000)]
    taken = 0
    while inbox.empty():
        assert lane.take(delta(texts[taken]))
        taken += 1
    assert not lane.take(delta("later")), "it waits for the handler"
    unsent = inbox.get()
    assert isinstance(unsent, Unsent)
    got = bytearray()

    def read() -> None:
        while piece := far.recv(65536):
            got.extend(piece)

    reader = gevent.spawn(read)
    lane.write(unsent)
    lane.open = True
    assert lane.take(delta("the end"))
    near.close()
    reader.join()
    sent = [text.encode() for text in [*texts[:taken], "the end"]]
    assert got == b"".join(b"%x\r\n%b\r\n" % (len(text), text) for text in sent)


def test_a_client_that_has_left(pair: Pair) -> None:
    """The handler finds out, by its own write; it is nobody's fault."""
    near, far = pair
    lane, inbox = lane_of(near)
    far.close()
    assert lane.take(delta("a"))
    unsent = inbox.get()
    assert isinstance(unsent, Unsent)
    with pytest.raises(ClientGone):
        lane.write(unsent)


def test_a_chunk_that_cannot_be_made(pair: Pair) -> None:
    """The reader of frames goes on; the handler raises it."""
    lane, inbox = lane_of(pair[0])
    assert lane.take(delta("bad"))
    broken = inbox.get()
    assert isinstance(broken, Broken)
    assert str(broken.error) == "no such token"
    assert not lane.take(delta("a"))


@pytest.mark.parametrize(
    ("changed", "usable"),
    [
        ({}, True),
        ({"SERVER_PROTOCOL": "HTTP/1.0"}, False),
        ({"REQUEST_METHOD": "HEAD"}, False),
        ({"gunicorn.socket": object()}, False),
        ({"gunicorn.socket": None}, False),
    ],
)
def test_which_connections(pair: Pair, changed: dict[str, Any], usable: bool) -> None:
    """Those whose answers are chunks that are written as they are."""
    environ = {
        "gunicorn.socket": pair[0],
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REQUEST_METHOD": "POST",
    }
    assert (socket_for(environ | changed) is not None) == usable
