"""A manager that was started for a gunicorn that was started by hand, and that ends with it."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from pathlib import Path

import structlog

import tricorn
from tricorn.config import Settings
from tricorn.gateway import instance

PR_SET_PDEATHSIG = 1
END_GRACE_S = 10.0

log = structlog.get_logger(part="gateway")


def end_with_parent() -> None:
    """Let the kernel send this process SIGTERM when its parent dies; Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


class Companion:
    """Starts at once; the gateway answers 503 until it is there."""

    def __init__(self, settings: Settings, run_dir: Path) -> None:
        source = str(Path(tricorn.__file__).parents[1])
        paths = [source, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
        environment = dict(os.environ)
        environment.pop(instance.RUN_DIR, None)
        environment["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(paths))
        environment["RUN_DIR"] = str(run_dir)
        command = [sys.executable, "-m", "tricorn.cli", "serve", "--without-gateway"]
        log.info("no manager runs here, starting one", run_dir=str(run_dir))
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            env=environment,
            # Its own session: Ctrl-C reaches gunicorn, which ends it after its own streams.
            start_new_session=True,
            preexec_fn=end_with_parent,
        )

    def end(self, drain_s: float) -> None:
        """Stop it in order, and by force after `drain_s` and a little more."""
        if self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(drain_s + END_GRACE_S)
        except subprocess.TimeoutExpired:
            log.warning("the manager did not end in time; killing it")
            self._process.kill()
            self._process.wait()
