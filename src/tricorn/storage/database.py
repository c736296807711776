"""A SQLite file that several processes use at once.

Opened when it is first used and in each process anew, since no connection survives a fork. A file
that is damaged or is not ours is set aside under another name, and an empty one takes its place:
what it had is lost to the server, never to its owner. Each kind of thing has a file of its own, so
that a damaged one takes nothing else with it.

SQLite's own waiting for a lock would hold up every greenlet of a gateway; here is waited by
sleeping, outside of all locks.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import structlog

from tricorn.errors import StorageUnavailable
from tricorn.installing import file_lock

APPLICATION_ID = 0x54726963
"""SQLite's mark for files of one application: "Tric"."""
PATIENCE_S = 5.0
"""How long a lock of another process is waited for."""
POLL_S = 0.005
MEND = "Put one of a backup in its place, or move it away to begin without what it has"

_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}

log = structlog.get_logger(part="storage")

ResultT = TypeVar("ResultT")
Work = Callable[[sqlite3.Connection], ResultT]


class _NotOurs(Exception):
    """A database that something else has made, or a newer Tricorn."""


class Database:
    """migrations: the statements of each version, in order; a file is brought to the last one when
    it is opened. Those that were released never change.
    begins_anew: a file that cannot be used is set aside; False: it is left, and everything fails
    until somebody has mended it.

    Safe to use from several threads, greenlets and processes.
    """

    def __init__(
        self, path: Path, migrations: Sequence[Sequence[str]], *, begins_anew: bool = True
    ) -> None:
        self.path = path
        self._begins_anew = begins_anew
        self._migrations = migrations
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._pid: int | None = None
        self._inode: int | None = None

    def read(self, work: Work[ResultT]) -> ResultT:
        """What `work` gives, all of it out of one moment. StorageUnavailable where it fails."""
        return self._run("BEGIN", work)

    def write(self, work: Work[ResultT]) -> ResultT:
        """As `read`; what `work` changes is kept as a whole or, where it fails, not at all."""
        return self._run("BEGIN IMMEDIATE", work)

    def close(self) -> None:
        """It opens again with its next use."""
        with self._lock:
            self._forget()

    def _run(self, begin: str, work: Work[ResultT]) -> ResultT:
        give_up_at = time.monotonic() + PATIENCE_S
        mended = False
        while True:
            try:
                with self._lock:
                    try:
                        return _transaction(self._connected(), begin, work)
                    except (sqlite3.DatabaseError, _NotOurs) as error:
                        if mended or not self._begins_anew or not _is_useless(error):
                            raise
                        mended = True
                        self._set_aside(error)
            except (sqlite3.Error, OSError, _NotOurs) as error:
                if not _is_busy(error) or time.monotonic() > give_up_at:
                    advice = f". {MEND}" if _is_useless(error) else ""
                    text = f"{self.path.name} cannot be used: {error}{advice}"
                    raise StorageUnavailable(text) from error
                time.sleep(POLL_S)

    def _connected(self) -> sqlite3.Connection:
        connection = self._connection
        if connection is not None and self._pid == os.getpid() and self._is_in_place():
            return connection
        self._forget()
        self._pid = os.getpid()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # What is kept is nobody else's to read. A file that is there is not opened but by SQLite:
        # closing it would drop the locks that this process has on it.
        with contextlib.suppress(FileExistsError):
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        self._inode = self.path.stat().st_ino
        connection = sqlite3.connect(
            self.path, timeout=0, isolation_level=None, check_same_thread=False
        )
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        self._connection = connection
        return connection

    def _is_in_place(self) -> bool:
        """The file under our path is the one that is open."""
        try:
            return self.path.stat().st_ino == self._inode
        except OSError:
            return False

    def _forget(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None and self._pid == os.getpid():
            connection.close()

    def _prepare(self, connection: sqlite3.Connection) -> None:
        self._version(connection)
        connection.execute("PRAGMA journal_mode=WAL")
        # A crash of the machine may lose the newest entries, never the file.
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA foreign_keys=ON")
        if self._version(connection) < len(self._migrations):
            _transaction(connection, "BEGIN IMMEDIATE", self._migrate)

    def _version(self, connection: sqlite3.Connection) -> int:
        """_NotOurs for a file that cannot be brought to our last version."""
        application, version, tables = (
            connection.execute(query).fetchone()[0]
            for query in (
                "PRAGMA application_id",
                "PRAGMA user_version",
                "SELECT count(*) FROM sqlite_master",
            )
        )
        if application != APPLICATION_ID and (application or version or tables):
            raise _NotOurs("it is a database of something else")
        if version > len(self._migrations):
            raise _NotOurs("a newer version of Tricorn has written it")
        return int(version)

    def _migrate(self, connection: sqlite3.Connection) -> None:
        # Another process may have been faster.
        for number in range(self._version(connection), len(self._migrations)):
            for statement in self._migrations[number]:
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version={len(self._migrations)}")

    def _set_aside(self, why: Exception) -> None:
        self._forget()
        with file_lock.hold(self._beside(".lock"), f"setting {self.path.name} aside", log.info):
            if not self._is_in_place():
                return  # another process has done so
            stamp = time.strftime("%Y%m%d-%H%M%S")
            away = self._beside(f".unusable-{stamp}-{os.getpid()}")
            for suffix in ("-wal", "-shm", ""):
                with contextlib.suppress(FileNotFoundError):
                    os.replace(self._beside(suffix), f"{away}{suffix}")
        log.error("database set aside", path=str(self.path), kept_as=away.name, reason=str(why))

    def _beside(self, suffix: str) -> Path:
        return self.path.with_name(self.path.name + suffix)


def _transaction(connection: sqlite3.Connection, begin: str, work: Work[ResultT]) -> ResultT:
    with _ended(connection):
        connection.execute(begin)
        result = work(connection)
        connection.execute("COMMIT")
        return result


@contextlib.contextmanager
def _ended(connection: sqlite3.Connection) -> Iterator[None]:
    try:
        yield
    finally:
        if connection.in_transaction:
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")


def _code(error: Exception) -> int:
    """SQLite's primary result code; 0 where the error is not SQLite's."""
    return (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF


def _is_busy(error: Exception) -> bool:
    return _code(error) in _BUSY


def _is_useless(error: Exception) -> bool:
    return isinstance(error, _NotOurs) or _code(error) in _DAMAGED
