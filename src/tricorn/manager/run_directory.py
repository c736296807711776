"""The run directory: private sockets and the two files by which gateways find the manager.

One manager owns it at a time, by a lock that the system drops when the process ends in any way. So
what lies there under a free lock is what a dead manager left, and is removed.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import sys
import time
from pathlib import Path
from types import TracebackType

from tricorn.errors import StartupError
from tricorn.installing import file_lock

if sys.platform == "win32":
    from tricorn import windows

LOCK_FILE = "manager.lock"
CONTROL_FILE = "control.json"
SETTINGS_FILE = "settings.json"
SOCKET_PATH_BYTES = 103
"""A unix socket's path has room for 107 bytes on Linux and 103 on macOS."""


class RunDirectory:
    """Take it by `open`, give it back by `close`."""

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self._lock: int | None = lock

    @classmethod
    def open(cls, path: Path) -> RunDirectory:
        """Make it, check that it is ours alone, lock it, clear it; StartupError if one fails."""
        for _ in range(10):
            try:
                _make_private(path)
                lock = _lock(path)
            except FileNotFoundError:
                continue  # another manager is just removing it
            except OSError as error:
                raise StartupError(f"cannot use the run directory {path}: {error}") from error
            if lock is not None:
                found = cls(path, lock)
                found._clear()
                return found
        raise StartupError(f"cannot take the run directory {path}: it keeps being removed")

    def fits_sockets(self) -> bool:
        """Whether the paths of sockets in here are short enough."""
        longest = self.path / "replica-0000000.sock"
        return len(os.fsencode(longest)) <= SOCKET_PATH_BYTES

    def write(self, name: str, text: str) -> None:
        """Put a file there for our user's eyes only; readers see the old or the new one, whole."""
        draft = self.path / f".{name}.{os.getpid()}"
        draft.unlink(missing_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        if sys.platform == "win32":
            windows.replace(draft, self.path / name)
        else:
            os.replace(draft, self.path / name)

    def write_control(self, address: str, secret: str) -> None:
        """Tell gateways where the control socket is."""
        self.write(
            CONTROL_FILE, json.dumps({"address": address, "secret": secret, "pid": os.getpid()})
        )

    def close(self) -> None:
        """Remove what is in it, and itself, and let go of the lock."""
        if self._lock is None:
            return
        self._clear()
        lock, self._lock = self._lock, None
        if os.name == "posix":  # elsewhere a file that is open cannot be removed
            (self.path / LOCK_FILE).unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # somebody else's file is in it: leave it there
                self.path.rmdir()
        os.close(lock)

    def __enter__(self) -> RunDirectory:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _clear(self) -> None:
        leftovers = [self.path / CONTROL_FILE, self.path / SETTINGS_FILE]
        leftovers += [*self.path.glob("*.sock"), *self.path.glob(".*.json.*")]
        for path in leftovers:
            path.unlink(missing_ok=True)


def read_control(run_dir: Path) -> dict[str, object]:
    """What `write_control` wrote. OSError or ValueError where no manager has written it."""
    found = json.loads((run_dir / CONTROL_FILE).read_text(encoding="utf-8"))
    if not isinstance(found, dict):
        raise ValueError(f"{CONTROL_FILE} is not an object")
    return found


def _make_private(path: Path) -> None:
    # The parent is made private too: whoever may write to it could put another folder in place.
    for folder in (path.parent, path):
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700, parents=True)
    if os.name != "posix":
        return
    me = os.getuid()
    status = path.lstat()
    if not stat.S_ISDIR(status.st_mode):
        raise StartupError(f"the run directory {path} is not a folder")
    if status.st_uid != me:
        raise StartupError(
            f"the run directory {path} belongs to another user; remove it or set RUN_DIR"
        )
    if path.parent.stat().st_uid not in (me, 0):
        raise StartupError(
            f"the run directory {path} lies in another user's folder; set RUN_DIR to one of yours"
        )
    path.chmod(0o700)


def _lock(path: Path) -> int | None:
    """A locked descriptor; None where the file was removed meanwhile: try again."""
    file = path / LOCK_FILE
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if not file_lock.try_lock(descriptor):
            raise StartupError(
                f"another Tricorn is running here (pid {_owner(file)}); stop it first, or choose"
                f" another port or RUN_DIR (the lock is {file})"
            )
        # The file may have been removed between our opening and our locking it.
        if os.name == "posix" and os.fstat(descriptor).st_ino != file.stat().st_ino:
            os.close(descriptor)
            return None
        os.truncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode())
    except (OSError, StartupError):
        os.close(descriptor)
        raise
    return descriptor


def _owner(file: Path) -> str:
    for _ in range(20):  # it writes its pid right after it has locked
        with contextlib.suppress(OSError):
            if owner := file.read_text(encoding="utf-8").strip():
                return owner
        time.sleep(0.01)
    return "unknown"
