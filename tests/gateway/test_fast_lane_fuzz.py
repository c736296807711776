"""The fast lane beside a handler that may be busy, and a client that reads now and then: what the
client gets is the stream, in order and in whole chunks."""

from __future__ import annotations

import os
import socket
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

if os.name != "posix":
    pytest.skip("gunicorn and gevent serve on posix", allow_module_level=True)

import gevent
import gevent.queue
import gevent.socket
from tests.gateway.test_fast_lane import delta, made

from tricorn.gateway.http.heartbeat import Pulse
from tricorn.gateway.http.patience import Patience
from tricorn.gateway.http.quick_socket import quick
from tricorn.gateway.requests.fast_lane import FastLane, Unsent
from tricorn.worker.protocol import Delta

END = object()
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("token"), st.integers(0, 9_000)),
        st.tuples(st.just("read"), st.integers(1, 20_000)),
        st.tuples(st.just("others run"), st.just(0)),
    ),
    max_size=60,
)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def handle(lane: FastLane, inbox: Any, sock: Any) -> None:
    """As `respond` does: what the lane has left comes first, then what did not take it."""
    while True:
        lane.open = True
        event = inbox.get()
        lane.open = False
        if isinstance(event, Unsent):
            lane.write(event)
        elif isinstance(event, Delta):
            if data := made(event):
                sock.sendall(chunk(data))
        else:
            sock.close()
            return


@settings(deadline=None)
@given(steps=STEPS)
def test_nothing_is_lost_or_out_of_order(steps: list[tuple[str, int]]) -> None:
    plain, client = gevent.socket.socketpair()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    near = quick(plain, Patience())
    inbox: Any = gevent.queue.SimpleQueue()
    lane = FastLane(near, inbox, Pulse(inbox), made)
    handler = gevent.spawn(handle, lane, inbox, near)
    expected, got = bytearray(), bytearray()
    for number, (step, size) in enumerate(steps):
        if step == "token":
            text = f"{number:03}" * size if size else ""
            expected += chunk(text.encode()) if text else b""
            arrived = delta(text)
            if not lane.take(arrived):
                inbox.put(arrived)
        elif step == "read":
            client.settimeout(0)
            try:
                got += client.recv(size)
            except BlockingIOError:
                continue
        else:
            gevent.sleep(0)
    inbox.put(END)
    client.settimeout(10)
    while data := client.recv(65536):
        got += data
    handler.join(10)
    client.close()
    assert handler.successful()
    assert got == expected
