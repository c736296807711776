"""What Tricorn's processes and the GPUs hold of memory now, read at most every few seconds."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import psutil

from tricorn.hardware import nvml

FRESH_S = 2.0
"""What was read is as good as new for so long: however often it is asked for, it costs the same."""


@dataclass(frozen=True)
class Gpu:
    """None: NVML does not tell."""

    name: str | None
    total_bytes: int | None
    used_bytes: int | None


@dataclass(frozen=True)
class Figures:
    memory: dict[int, int]
    """By process id, of the manager and all that it has started, resident bytes; pages that they
    share count once for each."""
    parents: dict[int, int]
    """Of those processes, but for the manager."""
    gpus: tuple[Gpu, ...]

    def tree(self, pid: int) -> set[int]:
        """A process and all that it has started."""
        found = {pid}
        grown = True
        while grown:
            new = {one for one, parent in self.parents.items() if parent in found} - found
            found |= new
            grown = bool(new)
        return found


class ProcessFigures:
    def __init__(self, library: object = None, clock: Callable[[], float] = time.monotonic) -> None:
        """library: NVML's; None: this machine's, where it has one."""
        self._library = library or nvml.load("windows" if sys.platform == "win32" else sys.platform)
        self._clock = clock
        self._lock = threading.Lock()
        self._read: tuple[float, Figures] | None = None

    def read(self) -> Figures:
        """Blocks: for a thread."""
        with self._lock:
            if self._read is None or self._clock() - self._read[0] > FRESH_S:
                self._read = self._clock(), self._now()
            return self._read[1]

    def _now(self) -> Figures:
        memory: dict[int, int] = {}
        parents: dict[int, int] = {}
        own = psutil.Process()
        for process in (own, *own.children(recursive=True)):
            with contextlib.suppress(psutil.Error):  # it has ended meanwhile
                memory[process.pid] = process.memory_info().rss
                if process.pid != own.pid:
                    parents[process.pid] = process.ppid()
        return Figures(memory, parents, tuple(self._gpus()))

    def _gpus(self) -> list[Gpu]:
        if self._library is None:
            return []
        with nvml.Session(self._library) as session:
            return [self._gpu(session, device) for device in session.devices()]

    def _gpu(self, session: nvml.Session, device: nvml.Device) -> Gpu:
        total, free = session.memory(device)
        used = None if total is None or free is None else total - free
        return Gpu(session.name(device), total, used)
