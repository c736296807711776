"""One process at a time: a lock on a file that the system drops when its holders end.

Standard library only.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tricorn.installing.long_commands import Say, elapsed

if sys.platform == "win32":
    from tricorn import windows
else:
    import fcntl

_POLL_S = 0.25


@contextlib.contextmanager
def hold(file: Path, work: str, say: Say) -> Iterator[int | None]:
    """Hold the lock on `file` (made if missing), waiting for whoever has it; `say` tells of a wait.

    Gives a descriptor for a child process to inherit (None where that can't be): should this
    process be killed, the lock stays until that child has ended as well.
    """
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        started = time.monotonic()
        told = False
        while not try_lock(descriptor):
            if not told:
                say(f"Another process is {work}: waiting for it")
                told = True
            time.sleep(_POLL_S)
        if told:
            say(f"  the other process is done, after {elapsed(time.monotonic() - started)}")
        yield descriptor if os.name == "posix" else None
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def hold_if_free(file: Path) -> Iterator[bool]:
    """Hold the lock on `file` (made if missing), if nobody has it; gives whether it is held."""
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        yield try_lock(descriptor)
    finally:
        os.close(descriptor)


def try_lock(descriptor: int) -> bool:
    """Whether the file is ours alone now, until the descriptor is closed. OSError where its file
    system knows no locks."""
    if sys.platform == "win32":
        return windows.try_lock(descriptor)
    else:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):  # which of them, depends on the file system
            return False
        return True
