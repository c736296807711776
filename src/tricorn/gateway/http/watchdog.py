"""Ends a gateway process that hangs, as gunicorn's master does with its workers, where there is no
gunicorn. Whoever keeps the process starts it anew."""

from __future__ import annotations

import faulthandler
import os
import sys
from collections.abc import Callable
from typing import NoReturn

from gevent import monkey

LOOK_S = 1.0
PATIENCE_S = 60.0
"""What gunicorn has."""
HUNG = 70
"""The exit code."""


class Watchdog:
    """Counts its own looks since the last `beat`, not seconds: a machine that slept did not hang.

    on_hang: called from a thread that gevent knows nothing of.
    """

    def __init__(
        self, on_hang: Callable[[], object], patience_s: float = PATIENCE_S, look_s: float = LOOK_S
    ) -> None:
        self._on_hang = on_hang
        self._most = max(1, round(patience_s / look_s))
        self._look_s = look_s
        self._silent = 0

    def start(self) -> None:
        monkey.get_original("_thread", "start_new_thread")(self._watch, ())

    def beat(self) -> None:
        """The event loop turns."""
        self._silent = 0

    def _watch(self) -> None:
        sleep = monkey.get_original("time", "sleep")
        while self._silent < self._most:
            sleep(self._look_s)
            self._silent += 1
        self._on_hang()


def end() -> NoReturn:
    """This process, after it has told where each of its threads is."""
    os.write(2, b"tricorn: the gateway hangs, and is ended:\n")
    faulthandler.dump_traceback(sys.__stderr__ or 2)
    os._exit(HUNG)
