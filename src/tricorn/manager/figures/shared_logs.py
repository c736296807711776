"""The log files that all of Tricorn shares. The manager is their only writer, from one thread of
its own: gateways send it what they have, and no slow disk holds anything up."""

from __future__ import annotations

import queue
import sys
import threading
from collections.abc import Iterable
from pathlib import Path

from tricorn import log_files
from tricorn.log_files.rotating import RotatingFile, Rotation

MAX_WAITING = 100_000
"""Lines that a disk may be behind with; what comes beyond is lost, and counted."""
MAX_BATCH = 1000
CLOSE_S = 2.0


class SharedLogs:
    """Safe to use from any thread; its own begins with the first line."""

    def __init__(self, folder: Path, rotation: Rotation) -> None:
        self._files = {name: RotatingFile(folder / name, rotation) for name in log_files.FILES}
        self._lines: queue.SimpleQueue[tuple[str, bytes] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._faulty = False
        self.lost = 0
        """Lines that were not written."""

    def configure(self, rotation: Rotation) -> None:
        """From now on."""
        for file in self._files.values():
            file.rotation = rotation

    def write(self, name: str, lines: Iterable[bytes]) -> None:
        """To the file of that name; returns at once."""
        with self._lock:
            if self._closed:
                return
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="logs", daemon=True)
                self._thread.start()
        for line in lines:
            if self._lines.qsize() < MAX_WAITING:
                self._lines.put((name, line))
            else:
                self.lost += 1

    def service(self, line: bytes) -> None:
        """As `logs.copy_to` wants it."""
        self.write(log_files.SERVICE, [line])

    def close(self) -> None:
        """Write what is there, and no more."""
        with self._lock:
            self._closed = True
        if self._thread is not None:
            self._lines.put(None)
            self._thread.join(CLOSE_S)

    def _run(self) -> None:
        while True:
            batch = [self._lines.get()]
            while len(batch) < MAX_BATCH and not self._lines.empty():
                batch.append(self._lines.get())
            for name, file in self._files.items():
                lines = [one[1] for one in batch if one is not None and one[0] == name]
                if lines:
                    self._write(file, lines)
            if None in batch:
                for file in self._files.values():
                    file.close()
                return

    def _write(self, file: RotatingFile, lines: list[bytes]) -> None:
        try:
            file.write(lines)
            self._faulty = False
        except OSError as error:
            self.lost += len(lines)
            file.close()
            if not self._faulty:  # once: each line that is logged would come back here
                self._faulty = True
                print(f"tricorn: the logs cannot be written: {error}", file=sys.stderr, flush=True)
