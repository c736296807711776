"""One gateway: gunicorn's master and its workers, or the process of `gateway.http.single_process`.

started → up: all of its workers have connected → ending: takes no connections → ended
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

import tricorn
from tricorn.errors import StartupError
from tricorn.manager.replicas import processes
from tricorn.settings.config import Settings

GUNICORN = [
    sys.executable,
    "-m",
    "gunicorn",
    "-c",
    "python:tricorn.gateway.http.gunicorn_conf",
    "tricorn.gateway.app:create_app()",
]
SINGLE = [sys.executable, "-m", "tricorn.gateway.http.single_process"]
CUT_S = 3.0
"""What a gateway may take to end once it has been told to cut what still runs."""


class GatewayProcess:
    """Made by `start`."""

    def __init__(
        self, process: asyncio.subprocess.Process, workers: int, lifeline: int | None
    ) -> None:
        self.workers = workers
        """How many there will be."""
        self._process = process
        self._single = lifeline is not None
        self._lifeline = lifeline
        """Of the single process: a pipe whose end asks it to end."""
        self._connected: set[int] = set()
        self.up = asyncio.Event()
        """All of its workers have been there."""
        self.ended = asyncio.get_running_loop().create_task(process.wait())

    @classmethod
    async def start(
        cls,
        settings: Settings,
        run_dir: Path,
        listener: socket.socket | None,
        command: Sequence[str] | None = None,
    ) -> GatewayProcess:
        """listener: what it serves at; None: it binds for itself. command: in place of the
        settings' server. StartupError where it cannot be started."""
        source = str(Path(tricorn.__file__).parents[1])
        paths = [source, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
        environment = os.environ | {
            "TRICORN_RUN_DIR": str(run_dir),
            "TRICORN_MANAGED": "1",
            "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths)),
        }
        passed = []
        if listener is not None:
            passed = [listener.fileno()]
            environment["TRICORN_LISTENER"] = str(listener.fileno())
        single = settings.single_gateway_process()
        read_end, lifeline = os.pipe() if single else (asyncio.subprocess.DEVNULL, None)
        try:
            process = await processes.start(
                command or (SINGLE if single else GUNICORN),
                environment,
                stdin=read_end,
                pass_fds=passed,
            )
        except OSError as error:
            if lifeline is not None:
                os.close(lifeline)
            raise StartupError(f"the gateway cannot be started: {error}") from error
        finally:
            if lifeline is not None:
                os.close(read_end)
        return cls(process, 1 if single else settings.gateway_workers(), lifeline)

    @property
    def pid(self) -> int:
        """Of gunicorn's master."""
        return self._process.pid

    @property
    def has_connected(self) -> bool:
        """One of its workers has, at some time."""
        return bool(self._connected)

    @property
    def how_it_ended(self) -> str:
        return processes.describe_exit(self._process.returncode)

    def connected(self, pid: int) -> bool:
        """A gateway worker has reached the control socket; True where it is one of these."""
        ours = processes.has_started(self._process, pid)
        if ours:
            self._connected.add(pid)
            if len(self._connected) >= self.workers:
                self.up.set()
        return ours

    async def end(self, at_most_s: float) -> None:
        """Have it take no more connections and finish its requests, then cut them; returns when
        nothing of it is left. May be called again, with less time."""
        if not self.ended.done():
            self._ask_to_end()
            await asyncio.wait({self.ended}, timeout=at_most_s)
        if not self.ended.done() and sys.platform != "win32":
            # Its workers count what they cut.
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGQUIT)
            await asyncio.wait({self.ended}, timeout=CUT_S)
        self.kill()
        await asyncio.wait({self.ended}, timeout=processes.KILL_WAIT_S)

    def kill(self) -> None:
        """End it now, with what has outlived it."""
        processes.kill_group(self._process)
        self._hang_up()

    def _ask_to_end(self) -> None:
        if self._single:
            self._hang_up()  # there are no signals for it on Windows
            return
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()  # the master only: it ends its workers

    def _hang_up(self) -> None:
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None
