"""Tests of `tricorn.storage.manager_memory`."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.polling import wait_until

from tricorn.errors import StorageUnavailable
from tricorn.storage import manager_memory
from tricorn.storage.database import Database
from tricorn.storage.manager_memory import FILE, Desired, ManagerMemory


@contextlib.contextmanager
def opened(folder: Path, now: float = 1000.0) -> Iterator[ManagerMemory]:
    memory = ManagerMemory(folder, lambda: now)
    try:
        yield memory
    finally:
        memory.close()


def rows(folder: Path, table: str) -> int:
    with contextlib.closing(sqlite3.connect(folder / FILE)) as connection:
        return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def test_it_outlives_the_manager(tmp_path: Path) -> None:
    """All kinds of entries are there for the next one; nothing was there for the first."""
    with opened(tmp_path) as memory:
        assert (memory.needs(), memory.desired()) == ({}, {})
        assert memory.load_s("f") is memory.last_used("m") is None
        memory.loaded("f", {"main": 5}, 2.5)
        memory.used("m")
        memory.put_desired("instance:a", "instance", {"params": {"n": 1}})
    with opened(tmp_path) as memory:
        assert memory.needs() == {"f": {"main": 5}}
        assert memory.load_s("f") == 2.5
        assert memory.last_used("m") == 1000.0
        desired = Desired("instance", {"params": {"n": 1}}, 1000.0)
        assert memory.desired() == {"instance:a": desired}


def test_measured_again(tmp_path: Path) -> None:
    """More counts at once, less by and by; a place that was not measured keeps what it had."""
    with opened(tmp_path) as memory:
        for size, kept in [(100, 100), (200, 200), (100, 175), (300, 300)]:
            memory.loaded("f", {"main": size}, 1.0)
            assert memory.needs()["f"] == {"main": kept}
        memory.loaded("f", {"cuda:0": 7}, 1.0)
        assert memory.needs()["f"] == {"main": 300, "cuda:0": 7}


def test_load_times(tmp_path: Path) -> None:
    """The middle one of the last five: one slow load says little. Also of loads not measured."""
    with opened(tmp_path) as memory:
        for seconds in (900.0, 2.0, 3.0, 60.0, 1.0, 4.0):
            memory.loaded("f", {}, seconds)
        assert memory.load_s("f") == 3.0
        assert memory.needs() == {}


def test_desired(tmp_path: Path) -> None:
    """Oldest first, changed in their place, and gone when they are dropped."""
    with opened(tmp_path, 2.0) as memory:
        memory.put_desired("b", "options", {"ttl": 5})
    with opened(tmp_path, 1.0) as memory:
        memory.put_desired("a", "instance", {})
        memory.put_desired("b", "options", {"ttl": 6})
        memory.put_desired("c", "options", {})
        assert memory.drop_desired("c")
        assert not memory.drop_desired("c")
    with opened(tmp_path) as memory:
        assert list(memory.desired().items()) == [
            ("a", Desired("instance", {}, 1.0)),
            ("b", Desired("options", {"ttl": 6}, 2.0)),
        ]
        assert memory.drop_desired("a")
    with opened(tmp_path) as memory:
        assert list(memory.desired()) == ["b"]


def test_saved(tmp_path: Path) -> None:
    """After waiting for that it is in the file, before anything is closed."""

    async def scenario(memory: ManagerMemory) -> None:
        await memory.saved()  # nothing
        memory.used("m")
        await memory.saved()
        assert rows(tmp_path, "used") == 1

    with opened(tmp_path) as memory:
        asyncio.run(scenario(memory))
    asyncio.run(memory.saved())


def test_written_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By itself, soon."""
    monkeypatch.setattr(manager_memory, "WRITE_BEHIND_S", 0.01)
    with opened(tmp_path) as memory:
        memory.used("m")
        wait_until(lambda: rows(tmp_path, "used") == 1)


def test_a_kill_loses_nothing_that_was_saved(tmp_path: Path) -> None:
    """However the manager ends."""
    script = """
import asyncio, os, signal, sys
from pathlib import Path
from tricorn.storage.manager_memory import ManagerMemory
async def main():
    memory = ManagerMemory(Path(sys.argv[1]))
    memory.put_desired("a", "instance", {})
    await memory.saved()
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], env=environment, check=False
    )
    assert done.returncode == -signal.SIGKILL
    with opened(tmp_path) as memory:
        assert list(memory.desired()) == ["a"]


@pytest.mark.parametrize("content", [b"garbage" * 1000, b"SQLite format 3\0torn"])
def test_a_damaged_file(tmp_path: Path, content: bytes) -> None:
    """It is set aside, and everything works from nothing."""
    (tmp_path / FILE).write_bytes(content)
    with opened(tmp_path) as memory:
        assert memory.desired() == {}
        memory.put_desired("a", "instance", {})
    with opened(tmp_path) as memory:
        assert list(memory.desired()) == ["a"]
    (aside,) = tmp_path.glob(f"{FILE}.unusable-*")
    assert aside.read_bytes() == content


def test_a_foreign_file(tmp_path: Path) -> None:
    """Another program's database is none of ours, and is kept."""
    with contextlib.closing(sqlite3.connect(tmp_path / FILE)) as connection:
        connection.execute("CREATE TABLE used (something TEXT)")
    with opened(tmp_path) as memory:
        memory.used("m")
    with opened(tmp_path) as memory:
        assert memory.last_used("m") == 1000.0
    assert len(list(tmp_path.glob(f"{FILE}.unusable-*"))) == 1


def test_an_entry_that_is_not_understood(tmp_path: Path) -> None:
    """It is left out, and the others are there."""
    with opened(tmp_path) as memory:
        memory.put_desired("a", "instance", {})
        memory.put_desired("b", "instance", {})
    with contextlib.closing(sqlite3.connect(tmp_path / FILE)) as connection, connection:
        connection.execute("UPDATE desired SET value = '{\"kind\": 5}' WHERE name = 'a'")
    with opened(tmp_path) as memory:
        assert list(memory.desired()) == ["b"]


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """Nothing is kept, and nothing fails for that."""
    folder = tmp_path / "file"
    folder.write_text("no folder")
    with opened(folder) as memory:
        memory.used("m")
        asyncio.run(memory.saved())
        assert memory.last_used("m") == 1000.0


def test_what_could_not_be_written_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And a newer state of the same entry goes before it."""
    with opened(tmp_path) as memory:
        write = Database.write

        def full(database: Database, work: object) -> None:
            memory.put_desired("a", "instance", {"n": 2})
            raise StorageUnavailable("the disk is full")

        async def scenario() -> None:
            monkeypatch.setattr(Database, "write", full)
            memory.put_desired("a", "instance", {"n": 1})
            memory.used("m")
            await memory.saved()
            assert rows(tmp_path, "used") == 0
            monkeypatch.setattr(Database, "write", write)
            await memory.saved()

        asyncio.run(scenario())
        assert rows(tmp_path, "used") == 1
    with opened(tmp_path) as memory:
        assert memory.desired()["a"].body == {"n": 2}


def test_it_does_not_grow_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest entries go, but for what is desired."""
    monkeypatch.setattr(manager_memory, "MOST_ENTRIES", 2)
    for number in range(4):
        with opened(tmp_path, float(number)) as memory:
            memory.used(f"m{number}")
            memory.loaded(f"f{number}", {"main": 1}, 1.0)
            memory.put_desired(f"d{number}", "instance", {})
    with opened(tmp_path) as memory:
        assert [memory.last_used(f"m{number}") for number in range(4)] == [None, None, 2.0, 3.0]
        assert memory.needs().keys() == {"f2", "f3"}
        assert len(memory.desired()) == 4
