"""The process of an engine worker, as the manager starts it and tells it what to do."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Mapping
from pathlib import Path

import msgspec

import tricorn
from tricorn.manager.replicas import processes
from tricorn.worker.protocol import Launch

WORKER = Path(tricorn.__file__).parent / "worker" / "__main__.py"


def command(python: Path, worker: Path = WORKER, *, spare_of: str | None = None) -> list[str]:
    """spare_of: the engine whose packages it is to import before it is told what to load."""
    flags = [] if spare_of is None else ["--engine", spare_of]
    return [str(python), "-P", str(worker), *flags]


class WorkerProcess:
    """One child process. Its standard input stays open for life: end of file tells it that the
    manager is gone, however the manager ended."""

    def __init__(
        self, process: asyncio.subprocess.Process, lifeline: int, environment: Mapping[str, str]
    ) -> None:
        self.pid = process.pid
        self.process = process
        self.environment = environment
        """That it was started with."""
        self._lifeline: int | None = lifeline

    @classmethod
    async def start(
        cls, command: list[str], *, log: int, environment: Mapping[str, str]
    ) -> WorkerProcess:
        """It does nothing before it gets its `launch`. log: descriptor that it writes to; stays
        the caller's."""
        # A pipe of our own rather than asyncio's: with asyncio's, `wait` would also wait for every
        # grandchild that inherited the pipe.
        read_end, write_end = os.pipe()
        try:
            process = await processes.start(
                command, environment, stdin=read_end, stdout=log, stderr=log
            )
        except BaseException:
            os.close(write_end)
            raise
        finally:
            os.close(read_end)
        return cls(process, write_end, environment)

    def launch(self, launch: Launch) -> None:
        """Tell it what to load; once."""
        assert self._lifeline is not None
        line = msgspec.json.encode(launch) + b"\n"
        # In a thread: a line longer than the pipe's buffer blocks until the child reads it.
        asyncio.get_running_loop().run_in_executor(None, _write_all, self._lifeline, line)

    def has_ended(self) -> bool:
        """Also where the event loop has not heard of it yet."""
        if self.process.returncode is not None or not hasattr(os, "waitid"):
            return self.process.returncode is not None
        try:
            how = os.WEXITED | os.WNOHANG | os.WNOWAIT  # its exit code stays for the event loop
            return os.waitid(os.P_PID, self.pid, how) is not None
        except ChildProcessError:
            return True

    def kill(self) -> None:
        processes.kill_group(self.process)

    async def wait(self) -> str:
        """Wait for its end; tells how it ended."""
        return processes.describe_exit(await self.process.wait())

    def hang_up(self) -> None:
        """Let it know, if it still lives, that it is to end."""
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None


def _write_all(pipe: int, data: bytes) -> None:
    # A child that died before it read its launch line is noticed by its exit.
    with contextlib.suppress(OSError):
        while data:
            data = data[os.write(pipe, data) :]
