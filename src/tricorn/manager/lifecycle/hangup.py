"""What SIGHUP means: "read your settings again", as for every server, or that the terminal is gone.

A server that was started by hand ends with its terminal; one that was started by nohup, or has
none, reads its settings again.
"""

from __future__ import annotations

import os
import signal
import sys


class Terminal:
    """The terminal that this process was started in, if any."""

    def __init__(self, descriptor: int = 0) -> None:
        self._descriptor = descriptor
        self._had = _is_terminal(descriptor) and not _ignored()

    def has_gone(self) -> bool:
        """It was there at the start and hangs up now."""
        return self._had and not _is_terminal(self._descriptor)


def _is_terminal(descriptor: int) -> bool:
    try:
        return os.isatty(descriptor)
    except OSError:
        return False


def _ignored() -> bool:
    return sys.platform != "win32" and signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
