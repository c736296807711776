"""A gateway that a manager started ends when that manager is gone.

On Linux the kernel tells gunicorn's master (gunicorn_conf); this is for the other systems, and for
the moments that the kernel's signal misses. A gateway started by hand has no lifeline: it answers
503 until a manager is back.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from tricorn.gateway.http import instance

MANAGED = "TRICORN_MANAGED"
SINGLE = "TRICORN_SINGLE_PROCESS"
"""Environment variable of a gateway that is no worker of a gunicorn."""
PATIENCE_S = 1.0
INTERVAL_S = 0.25

log = structlog.get_logger(part="gateway")


class Watch:
    """Decides when the manager counts as gone. No I/O, no clock of its own."""

    def __init__(self, patience_s: float = PATIENCE_S) -> None:
        self._patience_s = patience_s
        self._since: float | None = None

    def gone(self, now: float, *, connected: bool, alive: bool) -> bool:
        """Whether the manager has been both unreachable and dead for longer than the patience."""
        if connected or alive:
            self._since = None
            return False
        if self._since is None:
            self._since = now
        return now - self._since > self._patience_s


def hold(run_dir: Path, connected: Callable[[], bool]) -> None:
    """Start watching, in a thread. Ends gunicorn's master, this process's parent, or where there is
    none this process."""
    master = os.getpid() if os.environ.get(SINGLE) == "1" else os.getppid()
    threading.Thread(
        target=_watch, args=(run_dir, connected, master), name="lifeline", daemon=True
    ).start()


def _watch(run_dir: Path, connected: Callable[[], bool], master: int) -> None:
    watch = Watch()
    pid = instance.manager_pid(run_dir)
    pause = threading.Event()
    while True:
        pause.wait(INTERVAL_S)
        # A manager that ended in good order has taken its file with it.
        pid = instance.manager_pid(run_dir) or pid
        alive = pid is not None and instance.is_alive(pid)
        if watch.gone(time.monotonic(), connected=connected(), alive=alive):
            log.warning("the manager is gone; ending", manager_pid=pid)
            # A master that is gone already has orphaned us: gunicorn's own check ends this worker.
            if master in (os.getpid(), os.getppid()):
                os.kill(master, signal.SIGTERM)
            return
