"""A client's connection, as the gateway's workers read from it and write to it: with a limit to
every wait, which costs nothing where there is none."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import time
from typing import Any

import gevent
import gevent.socket
import gevent.ssl

from tricorn.gateway.http.patience import Arrival, Patience, TooSlow

ABORT = struct.pack("ii", 1, 0)
"""SO_LINGER: on close forget what was not sent."""


class _Client:
    """What plain and TLS connections have in common; each is a socket of gevent's that has a
    `patience` and an `arrival`."""

    __slots__ = ()

    def recv(self: Any, size: int = 8192, flags: int = 0) -> bytes:
        """TooSlow where the client's time for what it sends is over; HeadTooLarge."""
        self.timeout = self.arrival.left_s()
        try:
            data: bytes = super().recv(size, flags)  # type: ignore[misc] # the socket's
        except TimeoutError:
            raise self.arrival.late() from None
        self.arrival.took(len(data))
        return data

    def sendall(self: Any, data: bytes, flags: int = 0) -> None:
        """Most pieces are written by one call; gevent's own first asks for the buffer's size.
        TooSlow where the client does not take it in time."""
        self.timeout = self.patience.send_s
        try:
            sent = self.send(data, flags)
            if sent < len(data):
                self._send_rest(memoryview(data)[sent:], flags)
        except TimeoutError:
            with contextlib.suppress(OSError):
                self.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
                # So that nothing that is still written waits again.
                self._sock.shutdown(socket.SHUT_RDWR)
            raise TooSlow("its answer is not taken") from None

    def _send_rest(self: Any, rest: memoryview, flags: int) -> None:
        until = time.monotonic() + self.patience.to_send(len(rest))
        while rest:
            left = until - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self.timeout = left
            rest = rest[self.send(rest, flags) :]


class QuickSocket(_Client, gevent.socket.socket):  # type: ignore[misc] # gevent is typed in part
    """A plain one."""

    __slots__ = ("arrival", "patience")

    def send_now(self, data: bytes) -> int:
        """How much of it was written without waiting; 0 also where the connection is gone, which
        the next `sendall` will tell."""
        try:
            return int(self._sock.send(data))
        except OSError:
            return 0


class TlsSocket(_Client, gevent.ssl.SSLSocket):  # type: ignore[misc]
    """One with TLS: never written past its encryption. made: what gevent's contexts give."""

    def __init__(self, patience: Patience, **made: Any) -> None:
        self.patience = patience
        self.arrival = Arrival(patience, time.monotonic)
        super().__init__(**made)

    def shake_hands(self) -> None:
        """OSError where the client does not, or not in time."""
        with gevent.Timeout(self.patience.head_s, TooSlow("no TLS handshake in time")):
            self.do_handshake()

    def send_plainly(self, data: bytes) -> None:
        """For a client that speaks no TLS; as much as goes without waiting."""
        with contextlib.suppress(OSError):
            os.write(self.fileno(), data)


def quick(client: Any, patience: Patience) -> QuickSocket:
    """A plain connection of gevent's, which is nobody's afterwards."""
    sock = QuickSocket(client.family, client.type, client.proto, fileno=client.detach())
    sock.patience = patience
    sock.arrival = Arrival(patience, time.monotonic)
    return sock
