"""Log files that other processes write, and keep open: engines', and those of downloads.

What a long one has, or one of another day, is copied aside, and the file is emptied; whoever writes
appends, and goes on at its beginning. A line that comes in between may be lost.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import structlog

from tricorn.log_files.rotating import DAY_S, Rotation, aside_for, forget_old

log = structlog.get_logger(part="logs")


class EmptiedFiles:
    """files: those that there are now. rotation: that holds now."""

    def __init__(
        self,
        files: Callable[[], Iterable[Path]],
        rotation: Callable[[], Rotation],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._files = files
        self._rotation = rotation
        self._clock = clock
        self._days: dict[Path, int] = {}
        """On which each began."""

    def look(self) -> None:
        """At all of them. Blocks: for a thread, one at a time."""
        for path in self._files():
            try:
                self._look(path)
            except OSError as error:
                log.warning("a log file cannot be put aside", path=str(path), error=str(error))

    def _look(self, path: Path) -> None:
        now, rotation, found = self._clock(), self._rotation(), path.stat()
        today = int(now // DAY_S)
        began = self._days.setdefault(path, int(found.st_mtime // DAY_S))
        if found.st_size and (found.st_size > rotation.max_bytes or began != today):
            aside = aside_for(path, now)
            os.close(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            shutil.copyfile(path, aside)
            os.truncate(path, 0)
        self._days[path] = today
        forget_old(path, rotation, now)
