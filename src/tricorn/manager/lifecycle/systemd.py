"""Tells systemd how Tricorn is, where a unit of Type=notify started it: sd_notify(3), in a few
datagrams. Where nobody listens, nothing is sent.

    start → READY=1 → (RELOADING=1 → READY=1)* → STOPPING=1, and WATCHDOG=1 all the time
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager

from tricorn import logs

SOCKET = "NOTIFY_SOCKET"
WATCHDOG_USEC = "WATCHDOG_USEC"
WATCHDOG_PID = "WATCHDOG_PID"

log = logs.get("systemd")


class Systemd:
    """address: of systemd's socket; None: nobody listens. watchdog_s: how often it wants to hear
    of this process; None: never."""

    def __init__(self, address: str | None, watchdog_s: float | None = None) -> None:
        self._address = address
        self._watchdog_s = watchdog_s
        self._ready = False

    @classmethod
    def from_environment(cls, environ: MutableMapping[str, str]) -> Systemd:
        """Takes systemd's variables out of it: a child process (gunicorn does) would speak for
        Tricorn as well."""
        address = environ.pop(SOCKET, None) or None
        wanted = environ.pop(WATCHDOG_USEC, "")
        ours = environ.pop(WATCHDOG_PID, "") in ("", str(os.getpid()))
        watchdog_s = int(wanted) / 1e6 if ours and wanted.isdecimal() and int(wanted) else None
        return cls(address, watchdog_s)

    def status(self, text: str) -> None:
        """What `systemctl status` shows."""
        self._send(f"STATUS={_line(text)}")

    def ready(self, text: str) -> None:
        """Tricorn can be used; `text` as in `status`."""
        self._ready = True
        self._send("READY=1", f"STATUS={_line(text)}")

    @contextmanager
    def reloading(self) -> Iterator[None]:
        """While the settings are read. A service that is still starting is not ready by that."""
        if self._ready:
            now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000 if self._address else 0
            self._send("RELOADING=1", f"MONOTONIC_USEC={now}")
        try:
            yield
        finally:
            if self._ready:
                self._send("READY=1")

    def stopping(self, within_s: float) -> None:
        """It will have ended `within_s` seconds from now, whatever TimeoutStopSec is."""
        self._ready = False
        self._send(
            "STOPPING=1", f"EXTEND_TIMEOUT_USEC={int(within_s * 1e6)}", "STATUS=Finishing requests"
        )

    async def watch(self) -> None:
        """Show that the event loop runs, twice as often as is asked for; for ever."""
        if self._watchdog_s is None:
            return
        while True:
            self._send("WATCHDOG=1")
            await asyncio.sleep(self._watchdog_s / 2)

    def _send(self, *lines: str) -> None:
        if self._address is None:
            return
        # "@" stands for the NUL that an abstract socket's name begins with.
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.setblocking(False)
                sender.sendto("\n".join(lines).encode(), address)
        except OSError as error:  # Tricorn serves all the same
            log.warning("systemd cannot be told", lines=lines, error=str(error))


def _line(text: str) -> str:
    return " ".join(text.split())
