"""What the manager remembers from one run to the next.

    loads     what each load took, of memory and of time, by `memory_needs.fingerprint`
    used      when each model was last used
    desired   what was asked for by API and is to be there again: instances, changed settings

All of it is read at the start and then kept in memory: asking never waits. What changes is written
behind by a thread of its own, the newest state of each entry at once with whatever else has changed
by then; `saved` waits for that. A crash may lose the last second, never what was there before.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

import msgspec
import structlog

from tricorn.errors import StorageUnavailable
from tricorn.storage.database import Database

FILE = "manager.db"
WRITE_BEHIND_S = 1.0
"""Changes within such a time are written together."""
LOADS_TIMED = 5
"""The last so many loads tell how long the next one will take."""
SLOWLY = 4
"""What is measured larger counts at once; smaller, by a quarter of the difference each time: it may
have been measured before the model had computed much."""
MOST_ENTRIES = 10_000
"""Of each kind but `desired`: the oldest ones go when the file is opened."""

_MIGRATIONS = (
    (
        "CREATE TABLE loads (name TEXT PRIMARY KEY, value BLOB NOT NULL, at REAL NOT NULL)",
        "CREATE TABLE used (name TEXT PRIMARY KEY, value BLOB NOT NULL, at REAL NOT NULL)",
        "CREATE TABLE desired (name TEXT PRIMARY KEY, value BLOB NOT NULL, at REAL NOT NULL)",
    ),
)

log = structlog.get_logger(part="storage")

EntryT = TypeVar("EntryT")


class Load(msgspec.Struct, frozen=True):
    """What a load took."""

    needs: dict[str, int] = {}
    """Bytes by place; empty: not measured."""
    seconds: tuple[float, ...] = ()
    """Of the last loads, the newest one last."""


class Desired(msgspec.Struct, frozen=True):
    """What is to be there again after a restart."""

    kind: str
    body: dict[str, Any]
    """Whatever whoever has put it needs to make it again; JSON."""
    created: float
    """Unix seconds."""


class ManagerMemory:
    """Opened on the manager's event loop's thread, and used on it."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        """folder: where its file is made. Blocks: it reads all of it. A file that cannot be used
        is no reason not to start: then nothing is remembered, or not for long."""
        self._database = Database(folder / FILE, _MIGRATIONS)
        self._clock = clock
        self._changed = threading.Condition()
        self._pending: dict[tuple[str, str], tuple[bytes | None, float]] = {}
        """By table and name: the entry, None where it is gone, and when it changed."""
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = []
        self._closing = False
        self._loads = self._read("loads", Load)
        self._used = self._read("used", float)
        self._desired = self._read("desired", Desired)
        self._measured = {name: load.needs for name, load in self._loads.items() if load.needs}
        self._writer = threading.Thread(target=self._write, name="manager's memory", daemon=True)
        self._writer.start()

    # --- loads ----------------------------------------------------------------------------------

    def needs(self) -> Mapping[str, Mapping[str, int]]:
        """What loads took of memory, by fingerprint: for `memory_needs.needs_of`."""
        return self._measured

    def load_s(self, fingerprint: str) -> float | None:
        """How long such a load takes, by the last ones; None where there was none."""
        load = self._loads.get(fingerprint)
        return median(load.seconds) if load is not None and load.seconds else None

    def loaded(self, fingerprint: str, needs: Mapping[str, int], load_s: float) -> None:
        """needs: what was measured; a place that it leaves out was not."""
        before = self._loads.get(fingerprint, Load())
        load = Load(
            before.needs | _raised(before.needs, needs),
            (*before.seconds, load_s)[-LOADS_TIMED:],
        )
        self._loads[fingerprint] = load
        if load.needs:
            self._measured[fingerprint] = load.needs
        self._put("loads", fingerprint, load)

    # --- use ------------------------------------------------------------------------------------

    def last_used(self, model_id: str) -> float | None:
        """Unix seconds; None where it never was, as far as is remembered."""
        return self._used.get(model_id)

    def used(self, model_id: str) -> None:
        """It is used now."""
        self._used[model_id] = now = self._clock()
        self._put("used", model_id, now)

    # --- what is to be there ----------------------------------------------------------------------

    def desired(self) -> dict[str, Desired]:
        """All of it by name, the oldest first."""
        return dict(sorted(self._desired.items(), key=lambda item: item[1].created))

    def put_desired(self, name: str, kind: str, body: dict[str, Any]) -> None:
        """In place of what had this name; `created` stays that of the first one."""
        before = self._desired.get(name)
        created = self._clock() if before is None else before.created
        self._desired[name] = desired = Desired(kind, body, created)
        self._put("desired", name, desired)

    def drop_desired(self, name: str) -> bool:
        """Whether there was one."""
        if self._desired.pop(name, None) is None:
            return False
        self._put("desired", name, None)
        return True

    # --- writing --------------------------------------------------------------------------------

    async def saved(self) -> None:
        """Wait until all that was changed so far is written, or could not be."""
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        with self._changed:
            if self._closing:
                return
            self._waiting.append((loop, done))
            self._changed.notify()
        await done

    def close(self) -> None:
        """Write what is not written yet. Blocks for that."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._writer.join()
        self._database.close()

    def _put(self, table: str, name: str, entry: object) -> None:
        """entry: None to delete it."""
        value = None if entry is None else msgspec.json.encode(entry)
        with self._changed:
            if not self._pending:
                self._changed.notify()
            self._pending[table, name] = value, self._clock()

    def _write(self) -> None:
        closing = False
        while not closing:
            with self._changed:
                self._changed.wait_for(lambda: self._pending or self._is_urgent())
                self._changed.wait_for(self._is_urgent, WRITE_BEHIND_S)
                entries, self._pending = self._pending, {}
                waiting, self._waiting = self._waiting, []
                closing = self._closing
            if entries:
                self._store(entries)
            for loop, done in waiting:
                with contextlib.suppress(RuntimeError):  # its loop has ended
                    loop.call_soon_threadsafe(_settle, done)

    def _is_urgent(self) -> bool:
        return self._closing or bool(self._waiting)

    def _store(self, entries: dict[tuple[str, str], tuple[bytes | None, float]]) -> None:
        def work(connection: sqlite3.Connection) -> None:
            for (table, name), (value, at) in entries.items():
                if value is None:
                    connection.execute(f"DELETE FROM {table} WHERE name = ?", (name,))
                else:
                    row = (name, value, at)
                    connection.execute(f"INSERT OR REPLACE INTO {table} VALUES (?, ?, ?)", row)

        try:
            self._database.write(work)
        except StorageUnavailable as error:
            log.warning("not written, to be tried again", entries=len(entries), error=error.message)
            with self._changed:
                self._pending = entries | self._pending

    def _read(self, table: str, kind: type[EntryT]) -> dict[str, EntryT]:
        def work(connection: sqlite3.Connection) -> list[tuple[str, bytes]]:
            if table != "desired":
                connection.execute(
                    f"DELETE FROM {table} WHERE name NOT IN "
                    f"(SELECT name FROM {table} ORDER BY at DESC LIMIT {MOST_ENTRIES})"
                )
            return connection.execute(f"SELECT name, value FROM {table}").fetchall()

        found: dict[str, EntryT] = {}
        try:
            rows = self._database.write(work)
        except StorageUnavailable as error:
            log.error("nothing is remembered", table=table, error=error.message)
            return found
        for name, value in rows:
            try:
                found[name] = msgspec.json.decode(value, type=kind)
            except msgspec.DecodeError as error:
                log.warning("left out", table=table, name=name, error=str(error))
        return found


def _raised(before: Mapping[str, int], now: Mapping[str, int]) -> dict[str, int]:
    return {
        place: max(size, old - (old - size) // SLOWLY)
        for place, size in now.items()
        for old in (before.get(place, 0),)
    }


def _settle(done: asyncio.Future[None]) -> None:
    if not done.done():
        done.set_result(None)
