"""Where engine workers run. `LocalPlacement` starts them as processes on this machine.

Above this seam nobody knows what a process is: a replica asks a `Placement` for an `Engine`, waits
for its end, and ends it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

import msgspec

import tricorn
from tricorn.engines.spec import ModelSpec
from tricorn.manager import process_binding, processes
from tricorn.worker.protocol import Launch

TERM_WAIT_S = 3.0
"""Between SIGTERM and SIGKILL."""
LOG_LINES = 50
LOG_TAIL_BYTES = 64 * 1024
LOG_ROTATE_BYTES = 16 * 1024 * 1024
WORKER = Path(tricorn.__file__).parent / "worker" / "__main__.py"


class Engine(Protocol):
    """A started engine worker."""

    pid: int
    data_secret: str

    async def wait(self) -> str:
        """Wait for its end; tells how it ended."""

    async def end(self, grace_s: float) -> None:
        """Wait `grace_s` for its end, then force it; bounded. Returns at once when it has ended."""

    def kill(self) -> None:
        """End it now."""

    def log_tail(self) -> list[str]:
        """The last lines that this process wrote, at most 50."""


class Placement(Protocol):
    async def start(self, name: str, spec: ModelSpec) -> Engine:
        """Start the engine worker of the replica `name`. OSError, StartupError where it can't."""


class LocalPlacement:
    """Engine workers as child processes, each in its engine's own Python environment."""

    def __init__(
        self,
        *,
        engine_python: Callable[[str], Path],
        run_dir: Path,
        log_dir: Path,
        control_address: str,
        control_secret: str,
        unix_sockets: bool,
        log_level: str = "INFO",
        log_json: bool = False,
        worker: Path = WORKER,
    ) -> None:
        self._engine_python = engine_python
        self._run_dir = run_dir
        self._log_dir = log_dir / "engines"
        self._control = (control_address, control_secret)
        self._unix_sockets = unix_sockets
        self.log_level = log_level
        """Of workers that are started from now on."""
        self._log_json = log_json
        self._worker = worker

    async def start(self, name: str, spec: ModelSpec) -> LocalEngine:
        python = self._engine_python(spec.engine)
        cores = process_binding.cores(spec.binding)
        socket_path = self._run_dir / f"{name}.sock" if self._unix_sockets else None
        launch = Launch(
            replica=name,
            spec=spec,
            control_address=self._control[0],
            control_secret=self._control[1],
            data_address=f"unix:{socket_path}" if socket_path else "tcp:127.0.0.1:0",
            data_secret=secrets.token_hex(16),
            log_level=self.log_level,
            log_json=self._log_json,
            cores=cores,
        )
        self._log_dir.mkdir(parents=True, exist_ok=True)
        log_file = self._log_dir / f"{log_name(spec.id)}.log"
        return await LocalEngine.start(
            [str(python), "-P", str(self._worker)],
            launch,
            log_file,
            socket_path,
            environment=process_binding.environment(spec.binding, os.environ),
        )


class LocalEngine:
    """One child process. Its standard input stays open for life: end of file tells it that the
    manager is gone, however the manager ended."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        lifeline: int,
        launch: Launch,
        log: tuple[Path, int],
        socket_path: Path | None,
    ) -> None:
        self.pid = process.pid
        self.data_secret = launch.data_secret
        self._process = process
        self._lifeline: int | None = lifeline
        self._log_file, self._log_start = log
        self._socket_path = socket_path

    @classmethod
    async def start(
        cls,
        command: list[str],
        launch: Launch,
        log_file: Path,
        socket_path: Path | None,
        *,
        environment: Mapping[str, str],
    ) -> LocalEngine:
        log_start = _rotated_size(log_file)
        # A pipe of our own rather than asyncio's: with asyncio's, `wait` would also wait for every
        # grandchild that inherited the pipe.
        read_end, write_end = os.pipe()
        try:
            log = os.open(log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                process = await asyncio.create_subprocess_exec(
                    *command,
                    stdin=read_end,
                    stdout=log,
                    stderr=log,
                    env=environment,
                    **processes.session_arguments(),
                )
            finally:
                os.close(log)
        except BaseException:
            os.close(write_end)
            raise
        finally:
            os.close(read_end)
        line = msgspec.json.encode(launch) + b"\n"
        # In a thread: a line longer than the pipe's buffer blocks until the child reads it.
        asyncio.get_running_loop().run_in_executor(None, _write_all, write_end, line)
        return cls(process, write_end, launch, (log_file, log_start), socket_path)

    async def wait(self) -> str:
        return processes.describe_exit(await self._process.wait())

    async def end(self, grace_s: float) -> None:
        if not await processes.ended_within(self._process, grace_s):
            self._hang_up()
            processes.signal_group(self._process, signal.SIGTERM)
            if not await processes.ended_within(self._process, TERM_WAIT_S):
                processes.kill_group(self._process)
                await processes.ended_within(self._process, processes.KILL_WAIT_S)
        # What the worker may have started and left behind is still in its group.
        await processes.end_group(self._process)
        self._hang_up()
        if self._socket_path is not None:
            self._socket_path.unlink(missing_ok=True)

    def kill(self) -> None:
        processes.kill_group(self._process)

    def _hang_up(self) -> None:
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None

    def log_tail(self) -> list[str]:
        try:
            with self._log_file.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(self._log_start, size - LOG_TAIL_BYTES))
                text = file.read().decode("utf-8", errors="replace")
        except OSError:
            return []
        return [line.rstrip() for line in text.splitlines() if line.strip()][-LOG_LINES:]


def log_name(model_id: str) -> str:
    """A file name for a model id: what isn't plain becomes an underscore."""
    return (
        "".join(c if c.isalnum() or c in "._-" else "_" for c in model_id).lstrip(".")[:150] or "_"
    )


def _rotated_size(path: Path) -> int:
    """Bytes in the log now, after setting a long one aside as `.1`."""
    try:
        size = path.stat().st_size
    except OSError:
        return 0
    if size < LOG_ROTATE_BYTES:
        return size
    path.replace(path.with_suffix(".log.1"))
    return 0


def _write_all(pipe: int, data: bytes) -> None:
    # A child that died before it read its launch line is noticed by its exit.
    with contextlib.suppress(OSError):
        while data:
            data = data[os.write(pipe, data) :]
