"""A client's connection, as the gateway's workers write to it."""

from __future__ import annotations

import gevent.socket


class QuickSocket(gevent.socket.socket):  # type: ignore[misc] # gevent is typed in part
    """Writes small pieces by one call. gevent's own `sendall` first asks for the buffer's size."""

    __slots__ = ()

    def sendall(self, data: bytes, flags: int = 0) -> None:
        sent = self.send(data, flags)
        if sent < len(data):
            super().sendall(memoryview(data)[sent:], flags)

    def send_now(self, data: bytes) -> int:
        """How much of it was written without waiting; 0 also where the connection is gone, which
        the next `sendall` will tell."""
        try:
            return int(self._sock.send(data))
        except OSError:
            return 0
