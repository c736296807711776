"""The fast lane of a stream: tokens go from the engine's frame to the client's socket at once.

Waking the handler for each token of each stream costs more than the token itself. So while the
handler waits with nothing left to write, whoever reads the engine's frames makes the chunk and
writes it, as far as the socket takes it without waiting. All else goes to the handler: what the
socket does not take, errors, and every other event. Under gevent these two never run at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

from tricorn.gateway.answers.errors import ClientGone
from tricorn.gateway.http.heartbeat import Pulse
from tricorn.gateway.http.quick_socket import QuickSocket
from tricorn.worker.protocol import Delta

Make = Callable[[Delta], bytes]
"""What a delta adds to the stream; empty where it adds nothing yet."""


@dataclass(frozen=True)
class Unsent:
    """What the socket did not take: to be written before anything else, just as it is."""

    data: bytes


@dataclass(frozen=True)
class Broken:
    """The chunk could not be made; for the handler to raise."""

    error: Exception


class FastLane:
    """Of one stream that has begun. `open` is the handler's word that it waits."""

    def __init__(
        self, sock: QuickSocket, inbox: SimpleQueue[object], pulse: Pulse, make: Make
    ) -> None:
        self._sock = sock
        self._inbox = inbox
        self._pulse = pulse
        self._make = make
        self.open = False

    def take(self, delta: Delta) -> bool:
        """Write what it adds; False where it is for the handler."""
        if not self.open or not self._inbox.empty():
            return False
        self._pulse.alive = True
        try:
            data = self._make(delta)
        except Exception as error:  # noqa: BLE001 - the handler raises it, in its own greenlet
            self._give_up(Broken(error))
            return True
        if data:
            chunk = b"%x\r\n%b\r\n" % (len(data), data)
            sent = self._sock.send_now(chunk)
            if sent < len(chunk):
                self._give_up(Unsent(chunk[sent:]))
        return True

    def write(self, unsent: Unsent) -> None:
        """The handler's part: it may wait. ClientGone where the connection is gone."""
        try:
            self._sock.sendall(unsent.data)
        except OSError as error:
            raise ClientGone from error

    def _give_up(self, why: Unsent | Broken) -> None:
        self.open = False
        self._inbox.put(why)


def socket_for(environ: dict[str, Any]) -> QuickSocket | None:
    """The client's connection, where pieces of a stream are chunks of HTTP/1.1 on a plain socket of
    gunicorn's; None: they are written in some other way."""
    sock = environ.get("gunicorn.socket")
    plain = isinstance(sock, QuickSocket) and environ.get("SERVER_PROTOCOL") == "HTTP/1.1"
    return sock if plain and environ.get("REQUEST_METHOD") == "POST" else None
