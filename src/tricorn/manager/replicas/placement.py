"""Where engine workers run. `LocalPlacement` starts them as processes on this machine.

Above this seam nobody knows what a process is: a replica asks a `Placement` for an `Engine`, waits
for its end, and ends it.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Protocol

from tricorn.engines.spec import Binding, ModelSpec
from tricorn.file_stamps import Stamps, stamps
from tricorn.log_files.appending import open_to_append
from tricorn.manager.replicas import process_binding, processes
from tricorn.manager.replicas.worker_process import WORKER as WORKER
from tricorn.manager.replicas.worker_process import WorkerProcess, command
from tricorn.worker.protocol import Launch

TERM_WAIT_S = 3.0
"""Between SIGTERM and SIGKILL."""
LOG_LINES = 50
LOG_TAIL_BYTES = 64 * 1024

TakeSpare = Callable[[ModelSpec], Awaitable[WorkerProcess | None]]
"""A process that waits for such a model; None: there is none."""


async def no_spare(spec: ModelSpec) -> None:
    return None


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
        take_spare: TakeSpare = no_spare,
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
        self._take_spare = take_spare

    async def start(self, name: str, spec: ModelSpec) -> LocalEngine:
        python = self._engine_python(spec.engine)
        cores = process_binding.cores(spec.binding)
        log_file = self._log_dir / f"{log_name(spec.id)}.log"
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
            log_file=str(log_file.absolute()),
        )
        self._log_dir.mkdir(parents=True, exist_ok=True)
        log_start = _size(log_file)
        with _opened(log_file) as log:
            process = await self._take_spare(spec) or await WorkerProcess.start(
                command(python, self._worker),
                log=log,
                environment=_environment(spec.binding, spec.options.threads),
            )
        process.launch(launch)
        return LocalEngine(process, launch.data_secret, (log_file, log_start), socket_path)

    async def start_spare(self, engine: str, threads: int | None) -> WorkerProcess:
        """One that is told later what to load. threads: of the models that it is meant for.
        OSError, StartupError."""
        self._log_dir.mkdir(parents=True, exist_ok=True)
        with _opened(self._log_dir / f"spare-{engine}.log") as log:
            return await WorkerProcess.start(
                command(self._engine_python(engine), self._worker, spare_of=engine),
                log=log,
                environment=_environment(Binding(), threads),
            )

    def packages(self, engine: str) -> Stamps:
        """Other ones once the engine's environment has changed. StartupError."""
        python = self._engine_python(engine)
        folder = python.parent.parent
        return stamps([python, folder / "pyvenv.cfg", *sorted(folder.glob("tricorn-*"))])


class LocalEngine:
    """One child process, which was told what to load."""

    def __init__(
        self,
        process: WorkerProcess,
        data_secret: str,
        log: tuple[Path, int],
        socket_path: Path | None,
    ) -> None:
        self.pid = process.pid
        self.data_secret = data_secret
        self._worker = process
        self._log_file, self._log_start = log
        self._socket_path = socket_path

    async def wait(self) -> str:
        return await self._worker.wait()

    async def end(self, grace_s: float) -> None:
        process = self._worker.process
        if not await processes.ended_within(process, grace_s):
            self._worker.hang_up()
            processes.signal_group(process, signal.SIGTERM)
            if not await processes.ended_within(process, TERM_WAIT_S):
                processes.kill_group(process)
                await processes.ended_within(process, processes.KILL_WAIT_S)
        # What the worker may have started and left behind is still in its group.
        await processes.end_group(process)
        self._worker.hang_up()
        if self._socket_path is not None:
            self._socket_path.unlink(missing_ok=True)

    def kill(self) -> None:
        self._worker.kill()

    def log_tail(self) -> list[str]:
        try:
            with self._log_file.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                # It may have begun anew meanwhile.
                start = self._log_start if size >= self._log_start else 0
                file.seek(max(start, size - LOG_TAIL_BYTES))
                text = file.read().decode("utf-8", errors="replace")
        except OSError:
            return []
        return [line.rstrip() for line in text.splitlines() if line.strip()][-LOG_LINES:]


def log_name(model_id: str) -> str:
    """A file name for a model id: what isn't plain becomes an underscore."""
    return (
        "".join(c if c.isalnum() or c in "._-" else "_" for c in model_id).lstrip(".")[:150] or "_"
    )


def suits(process: WorkerProcess, spec: ModelSpec) -> bool:
    """Whether a spare process is as one that is started for this model. Cores cannot be bound any
    more: libraries have counted them."""
    bound = spec.binding.cpus is not None or spec.binding.numa_node is not None
    return not bound and process.environment == _environment(spec.binding, spec.options.threads)


def _environment(binding: Binding, threads: int | None) -> dict[str, str]:
    return process_binding.environment(binding, os.environ, threads)


@contextlib.contextmanager
def _opened(log_file: Path) -> Iterator[int]:
    log = open_to_append(log_file)
    try:
        yield log
    finally:
        os.close(log)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
