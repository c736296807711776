"""One download: its process, and what that has told. `Downloads` owns it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from tricorn.errors import DownloadFailed, TricornError, from_info
from tricorn.hub.names import Wanted
from tricorn.hub.updates import Done, Failed, Order, Plan, Progress, Update, Verifying, Waiting
from tricorn.log_files.appending import open_to_append
from tricorn.manager.replicas import processes

COMMAND = (sys.executable, "-P", "-m", "tricorn.hub")
MAX_LINE = 8 * 2**20
"""Of what the process tells: a plan names every file."""

State = Literal[
    "queued", "starting", "waiting", "downloading", "verifying", "done", "failed", "cancelled"
]


class Download:
    """Its fields are written here only."""

    def __init__(self, wanted: Wanted, root: Path) -> None:
        self.wanted = wanted
        self.state: State = "queued"
        self.error: TricornError | None = None
        """What ended it, also where it was cancelled."""
        self.kept = False
        """It goes on when nobody follows it."""
        self.followers = 0
        self._root = root
        self._started = int(time.time())
        self._plan: Plan | None = None
        self._progress: Progress | None = None
        self._reading: Verifying | None = None
        self._reason: str | None = None
        self._done: Done | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._changed = asyncio.Event()

    @property
    def ended(self) -> bool:
        return self.state in ("done", "failed", "cancelled")

    def snapshot(self) -> dict[str, Any]:
        """Its state, as `downloads` describes it."""
        plan, now = self._plan, self._progress
        total = plan.total if plan else None
        completed = now.completed if now else plan.completed if plan else None
        if self.state == "done":
            completed = total
        file = None if self.ended else self._reading or now
        error = self.error if self.state == "failed" else None
        return {
            "object": "model.download",
            "name": str(self.wanted),
            "state": self.state,
            "total_bytes": total,
            "completed_bytes": completed,
            "share": None if total is None or completed is None else completed / max(1, total),
            "bytes_per_second": now.bytes_per_second if now and not self.ended else None,
            "eta_s": now.eta_s if now and not self.ended else None,
            "file": file.file if file else None,
            "digest": file.digest if file else None,
            "file_total_bytes": now.file_total if now and file is now else None,
            "file_completed_bytes": now.file_completed if now and file is now else None,
            "files": [msgspec.to_builtins(one) for one in plan.files] if plan else [],
            "models": plan.models if plan else [],
            "reason": self._reason if self.state == "waiting" else None,
            "error": None if error is None else {"code": error.code, "message": error.message},
            "started": self._started,
        }

    async def changes(self) -> AsyncIterator[dict[str, Any]]:
        """The state now, at every change, and when it has ended well; the newest one each time."""
        while True:
            # All three before the reader has its turn: meanwhile it may change, and end.
            changed, ended, state = self._changed, self.ended, self.snapshot()
            if not ended or self.state == "done":
                yield state
            if ended:
                return
            await changed.wait()

    async def run(
        self, command: Sequence[str], environment: Mapping[str, str], log_file: Path
    ) -> None:
        """Run its process to the end. Afterwards `error` is set, or `finish` is to be called."""
        self._enter("starting")
        try:
            await self._run(command, environment, log_file)
        except OSError as error:
            self._fail(DownloadFailed(f"the download could not be started: {error}"))
        except (ValueError, msgspec.MsgspecError):
            self._fail(DownloadFailed(f"the download's process spoke nonsense; see {log_file}"))

    async def cancel(self) -> None:
        """End it, and wait for the end of its process. What has come stays on the disk."""
        if self.ended:
            return
        self.error = DownloadFailed(
            f"the download of {self.wanted} was cancelled; pulled again, it goes on from there"
        )
        self._enter("cancelled")
        if self._process is not None:
            processes.kill_group(self._process)
            await processes.ended_within(self._process, processes.KILL_WAIT_S)

    def finish(self) -> None:
        """All is in its place, and the catalog knows."""
        if not self.ended:
            self._enter("done")

    # --- insides ------------------------------------------------------------------------------

    async def _run(
        self, command: Sequence[str], environment: Mapping[str, str], log_file: Path
    ) -> None:
        log_file.parent.mkdir(parents=True, exist_ok=True)
        # A pipe of our own, as for engine workers: its end tells the process that we are gone.
        read_end, lifeline = os.pipe()
        try:
            log = open_to_append(log_file)
            try:
                process = await processes.start(
                    command,
                    environment,
                    stdin=read_end,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=log,
                    limit=MAX_LINE,
                )
            finally:
                os.close(log)
                os.close(read_end)
            self._process = process
            try:
                # Short enough for the pipe's buffer: this does not wait for the process to read.
                order = Order(str(self.wanted), str(self._root.resolve()))
                with contextlib.suppress(BrokenPipeError):
                    os.write(lifeline, msgspec.json.encode(order) + b"\n")
                if self.ended:  # cancelled while it was being started
                    processes.kill_group(process)
                await self._read(process)
            finally:
                processes.kill_group(process)
                await process.wait()
        finally:
            os.close(lifeline)
        if self._done is None:
            how = processes.describe_exit(process.returncode)
            self._fail(DownloadFailed(f"the download's process {how}; see {log_file}"))

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        # Read to its end, which comes with the process's own: it starts no others.
        async for line in process.stdout:
            self._take(msgspec.json.decode(line, type=Update))

    def _take(self, update: Update) -> None:
        if self.ended:
            return
        match update:
            case Waiting():
                self._reason = update.reason
                self._enter("waiting")
            case Plan():
                self._plan = update
                self._enter("downloading")
            case Progress():
                self._progress, self._reading = update, None
                self._enter("downloading")
            case Verifying():
                self._reading = update
                self._enter("verifying")
            case Done():
                self._done = update
            case Failed():
                self._fail(from_info(update.error))

    def _fail(self, error: TricornError) -> None:
        if not self.ended:
            self.error = error
            self._enter("failed")

    def _enter(self, state: State) -> None:
        self.state = state
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
