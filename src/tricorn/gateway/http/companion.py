"""A manager that was started for a gunicorn that was started by hand, and that ends with it."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import gevent
import structlog

import tricorn
from tricorn.gateway.http import instance
from tricorn.settings.config import Settings

PR_SET_PDEATHSIG = 1
END_GRACE_S = 10.0
LOOK_S = 0.5
STEADY_S = 60.0
"""A manager that ran this long starts with a clean record."""
LONGEST_PAUSE_S = 30.0

log = structlog.get_logger(part="gateway")


def end_with_parent() -> None:
    """Let the kernel send this process SIGTERM when its parent dies; Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


class Companion:
    """Starts at once, and again when it ends by itself; the gateway answers 503 meanwhile."""

    def __init__(self, settings: Settings, run_dir: Path) -> None:
        self._master = os.getpid()
        self._ending = False
        source = str(Path(tricorn.__file__).parents[1])
        paths = [source, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
        environment = dict(os.environ)
        environment.pop(instance.RUN_DIR, None)
        environment["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(paths))
        environment["RUN_DIR"] = str(run_dir)
        self._environment = environment
        log.info("no manager runs here, starting one", run_dir=str(run_dir))
        self._process = self._start()
        # No thread: gunicorn forks workers from here, and in those its end would be a traceback.
        gevent.spawn(self._watch)

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "-m", "tricorn.cli", "serve", "--without-gateway"],
            stdin=subprocess.DEVNULL,
            env=self._environment,
            # Its own session: Ctrl-C reaches gunicorn, which ends it after its own streams.
            start_new_session=True,
            preexec_fn=end_with_parent,
        )

    def _watch(self) -> None:
        """Start it again when it is gone, with growing pauses while it does not stay up."""
        started, failures = time.monotonic(), 0
        while True:
            time.sleep(LOOK_S)
            # In a forked worker this goes on too.
            if self._ending or os.getpid() != self._master:
                return
            if self._process.poll() is None:
                continue
            steady = time.monotonic() - started >= STEADY_S
            failures = 0 if steady else failures + 1
            log.error("the manager has ended, starting another one")
            time.sleep(min(2.0**failures - 1, LONGEST_PAUSE_S))
            if not self._ending:
                self._process, started = self._start(), time.monotonic()

    def end(self, drain_s: float) -> None:
        """Stop it in order, and by force after `drain_s` and a little more."""
        self._ending = True
        if self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(drain_s + END_GRACE_S)
        except subprocess.TimeoutExpired:
            log.warning("the manager did not end in time; killing it")
            self._process.kill()
            self._process.wait()
