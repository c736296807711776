"""A log file that begins anew when it is long enough, and each day; old ones go."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from tricorn.log_files.appending import open_to_append

DAY_S = 24 * 3600


@dataclass(frozen=True)
class Rotation:
    max_bytes: int
    keep_days: int
    keep_files: int
    """Beside the one that is written; 0: none."""


class RotatingFile:
    """Appends whole lines; for one writer. What was written before is kept as
    `NAME.20260131-235959`, of the second in which it was put aside (UTC)."""

    def __init__(self, path: Path, rotation: Rotation, clock: Callable[[], float] = time.time):
        self.rotation = rotation
        self._path = path
        self._clock = clock
        self._file: int | None = None
        self._size = 0
        self._day = 0

    def write(self, lines: Iterable[bytes]) -> None:
        """Each without its end. OSError where it cannot be written."""
        data = b"".join(line + b"\n" for line in lines)
        now = self._clock()
        if self._file is None:
            self._open(now)
        grown = self._size > 0 and self._size + len(data) > self.rotation.max_bytes
        if grown or (self._size > 0 and self._day != now // DAY_S):
            self._put_aside(now)
        assert self._file is not None
        self._size += len(data)
        while data:
            data = data[os.write(self._file, data) :]

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _open(self, now: float) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = open_to_append(self._path)
        found = os.fstat(self._file)
        self._size = found.st_size
        self._day = int((found.st_mtime if found.st_size else now) // DAY_S)

    def _put_aside(self, now: float) -> None:
        self.close()
        # Somebody has removed it meanwhile; or, on Windows, reads it: then it grows on.
        with contextlib.suppress(FileNotFoundError, PermissionError):
            self._path.replace(aside_for(self._path, now))
        forget_old(self._path, self.rotation, now)
        self._open(now)


def aside_for(path: Path, now: float) -> Path:
    """Where what is in a file is kept once it begins anew; nothing is there yet."""
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(now))
    aside = path.with_name(f"{path.name}.{stamp}")
    count = 0
    while aside.exists():
        count += 1
        aside = path.with_name(f"{path.name}.{stamp}.{count:04}")
    return aside


def forget_old(path: Path, rotation: Rotation, now: float) -> None:
    """Remove of what was put aside what is too old, and the oldest that is too much."""
    for number, aside in enumerate(reversed(put_aside(path))):
        with contextlib.suppress(OSError):
            too_old = aside.stat().st_mtime < now - rotation.keep_days * DAY_S
            if number >= rotation.keep_files or too_old:
                aside.unlink()


def put_aside(path: Path) -> list[Path]:
    """What was written to a file before it began anew, the oldest first."""
    return sorted(path.parent.glob(f"{path.name}.[0-9]*-[0-9]*"))
