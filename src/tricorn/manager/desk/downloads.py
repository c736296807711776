"""Downloads of models, each in a process of its own: started once, followed by many, ended with us.

    queued → starting → downloading ⇄ verifying ⇄ waiting → done
       └────────┴────────────┴────────────┴──────────┴────→ failed | cancelled

Asked for again, what runs is joined; what failed or was cancelled is taken up where it stopped: its
partial files stay.

A download's state is told as a dict that can be JSON:

    {"object": "model.download", "name": "org/name:Q4_K_M", "state": "downloading",
     "total_bytes": 4100, "completed_bytes": 410, "share": 0.1,        null until it is known
     "bytes_per_second": 99.5, "eta_s": 37.0,                          null where nothing tells
     "file": "model-Q4_K_M.gguf", "digest": "sha256:…",                null between files
     "file_total_bytes": 4000, "file_completed_bytes": 310,
     "files": [{"name": …, "size": …, "digest": …}, …],                of the whole model
     "models": ["org/name/model-Q4_K_M"],         the ids in /v1/models, usable in the state done
     "reason": null,                              why it waits
     "error": null,                               {"code", "message"} in the state failed
     "started": 1767225600}
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tricorn import logs
from tricorn.errors import Overloaded, ShuttingDown
from tricorn.hub import names
from tricorn.manager.desk.download import COMMAND, Download

AT_ONCE = 2
MAX_QUEUED = 100
KEPT = 20
"""Downloads that have ended and are still listed."""

log = logs.get("downloads")


class Downloads:
    """All of them. Everything here runs on the manager's event loop; nothing blocks it."""

    def __init__(
        self,
        root: Callable[[], Path],
        *,
        environment: Callable[[], Mapping[str, str]],
        log_file: Path,
        rescan: Callable[[], Awaitable[object]],
        at_once: int = AT_ONCE,
        command: Sequence[str] = COMMAND,
    ) -> None:
        """root: MODEL_BASE_PATH as it is now. environment: of the next process, by
        `hub.environment.of_pull`. log_file: for what the processes have to say beside their
        progress. rescan: awaited after each success, before the download is told to be done."""
        self._root = root
        self._environment = environment
        self._log_file = log_file
        self._rescan = rescan
        self._command = tuple(command)
        self._places = asyncio.Semaphore(at_once)
        self._downloads: dict[str, Download] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    def start(self, name: str, *, param: str | None = None) -> dict[str, Any]:
        """Start a download, or join the one that runs; its state. It goes on until it ends or is
        cancelled, whether anybody follows it or not.

        InvalidRequest (naming `param`) for a name that is none, Overloaded where too many wait,
        ShuttingDown. Everything else becomes the state failed.
        """
        download = self._running(name, param)
        download.kept = True
        return download.snapshot()

    async def follow(
        self, name: str, *, keep: bool = True, param: str | None = None
    ) -> AsyncIterator[dict[str, Any]]:
        """Start or join a download and give its state at once, at every change (the newest one
        only, where the reader is slow), and at last in the state done.

        keep: False cancels it when the last one who follows it leaves (closes this iterator),
            unless somebody has started it to be kept.
        Raises as `start` at the first step, and what ended the download: ModelNotFound, NotAllowed,
        InvalidRequest, DownloadFailed (also where it was cancelled), InsufficientStorage.
        """
        download = self._running(name, param)
        download.kept = download.kept or keep
        download.followers += 1
        try:
            async for state in download.changes():
                yield state
        finally:
            download.followers -= 1
            if not download.kept and not download.followers and not download.ended:
                await download.cancel()
        if download.error is not None:
            raise download.error

    async def cancel(self, name: str) -> bool:
        """End a download that runs or is queued; False where there is none. What has come stays."""
        download = self._downloads.get(str(names.parse(name)))
        if download is None or download.ended:
            return False
        await download.cancel()
        return True

    def state(self, name: str) -> dict[str, Any] | None:
        """Of a download that runs or has run lately; None where there is none."""
        download = self._downloads.get(str(names.parse(name)))
        return None if download is None else download.snapshot()

    def listing(self) -> list[dict[str, Any]]:
        """The states of all that run, wait, or have ended lately, the oldest first."""
        return [download.snapshot() for download in self._downloads.values()]

    async def close(self) -> None:
        """Cancel all of them, and take no more."""
        self._closed = True
        await asyncio.gather(*(one.cancel() for one in self._downloads.values() if not one.ended))
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- insides ------------------------------------------------------------------------------

    def _running(self, name: str, param: str | None) -> Download:
        wanted = names.parse(name, param=param)
        if self._closed:
            raise ShuttingDown("Tricorn is being stopped: it takes no more downloads")
        key = str(wanted)
        known = self._downloads.get(key)
        if known is not None and not known.ended:
            return known
        waiting = sum(one.state == "queued" for one in self._downloads.values())
        if waiting >= MAX_QUEUED:
            raise Overloaded(f"{waiting} downloads wait already", retry_after_s=60.0)
        self._downloads.pop(key, None)
        download = Download(wanted, self._root())
        self._downloads[key] = download
        self._forget()
        task = asyncio.create_task(self._run(download), name=f"pull {key}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return download

    async def _run(self, download: Download) -> None:
        async with self._places:
            if not download.ended:
                await download.run(self._command, self._environment(), self._log_file)
        if not download.ended:
            try:
                await self._rescan()
            except Exception as error:  # noqa: BLE001 - the files are there, and found by and by
                log.warning("no rescan after a download", error=repr(error))
            download.finish()
        log.info("download ended", name=str(download.wanted), state=download.state)

    def _forget(self) -> None:
        ended = [key for key, one in self._downloads.items() if one.ended]
        for key in ended[: max(0, len(ended) - KEPT)]:
            del self._downloads[key]
