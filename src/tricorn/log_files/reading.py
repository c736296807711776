"""The newest lines of the log files, and those that come. Needs no running server."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tricorn.log_files import FILES
from tricorn.log_files.rotating import put_aside

TAIL_BYTES = 1024 * 1024
"""Of each file: what is further back is not looked at."""
POLL_S = 0.25

_LEVELS = logging.getLevelNamesMapping()

Line = dict[str, Any]


@dataclass(frozen=True)
class Filter:
    level: str = "DEBUG"
    """The lowest."""
    model: str | None = None
    """By its id, or what it was asked for by."""

    def passes(self, line: Line) -> bool:
        if _LEVELS.get(str(line.get("level", "info")).upper(), 0) < _LEVELS[self.level]:
            return False
        return self.model is None or line.get("model") == self.model


def recent(log_dir: Path, limit: int, wanted: Filter) -> list[Line]:
    """The last lines of all files together that pass, the oldest first. Each has `log`, the name of
    its file without `.log`."""
    lines = [line for name in FILES for line in _last(log_dir / name, wanted)]
    lines.sort(key=lambda line: str(line.get("timestamp", "")))
    return lines[-limit:] if limit > 0 else []


class Follower:
    """What is written from now on; also when a file begins anew, or is there later."""

    def __init__(self, log_dir: Path) -> None:
        self._paths = [log_dir / name for name in FILES]
        self._read: dict[Path, tuple[int, int]] = {}  # inode, position
        for path in self._paths:
            if (found := _found(path)) is not None:
                self._read[path] = found

    def more(self, wanted: Filter) -> list[Line]:
        """Those that came since the last time and pass, the oldest first."""
        lines = [line for path in self._paths for line in self._more(path) if wanted.passes(line)]
        lines.sort(key=lambda line: str(line.get("timestamp", "")))
        return lines

    def _more(self, path: Path) -> Iterator[Line]:
        found = _found(path)
        if found is None:
            return
        inode, position = self._read.get(path, (found[0], 0))
        if inode != found[0]:
            asides = put_aside(path)
            known = [one for one in asides if (was := _found(one)) and was[0] == inode]
            for aside in asides[asides.index(known[0]) :] if known else []:
                yield from _parsed(aside, _from(aside, position)[0])
                position = 0  # of those that have begun anew since
            position = 0
        data, end = _from(path, min(position, found[1]))
        self._read[path] = found[0], end
        yield from _parsed(path, data)


def follow(
    follower: Follower, wanted: Filter, pause: Callable[[float], None] = time.sleep
) -> Iterator[Line]:
    """For ever."""
    while True:
        yield from follower.more(wanted)
        pause(POLL_S)


def _last(path: Path, wanted: Filter) -> Iterator[Line]:
    older = put_aside(path)[-1:]
    for one in (*older, path):
        found = _found(one)
        if found is None:
            continue
        start = max(0, found[1] - TAIL_BYTES)
        data, _ = _from(one, start)
        if start:  # it begins within a line
            data = data.partition(b"\n")[2]
        yield from (line for line in _parsed(path, data) if wanted.passes(line))


def _found(path: Path) -> tuple[int, int] | None:
    """Inode and size."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size


def _from(path: Path, position: int) -> tuple[bytes, int]:
    """The whole lines that stand there, and where they end."""
    try:
        with path.open("rb") as file:
            file.seek(position)
            data = file.read()
    except OSError:
        return b"", position
    whole = data[: data.rfind(b"\n") + 1]
    return whole, position + len(whole)


def _parsed(path: Path, data: bytes) -> Iterator[Line]:
    for text in data.splitlines():
        try:
            line = json.loads(text)
        except ValueError:  # half a line, of a machine that has lost its power
            continue
        if isinstance(line, dict):
            yield {"log": path.name.split(".log")[0], **line}
