"""A SQLite file under several processes, under damage, and over versions."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tricorn.errors import StorageUnavailable
from tricorn.storage import database
from tricorn.storage.database import Database

FIRST = ("CREATE TABLE notes (text TEXT)",)
SECOND = ("ALTER TABLE notes ADD COLUMN mood TEXT DEFAULT 'calm'",)


def add(text: str) -> Callable[[sqlite3.Connection], object]:
    return lambda connection: connection.execute("INSERT INTO notes (text) VALUES (?)", (text,))


def texts(database: Database) -> list[str]:
    rows = database.read(lambda c: c.execute("SELECT text FROM notes ORDER BY rowid").fetchall())
    return [text for (text,) in rows]


def aside(folder: Path) -> list[Path]:
    return [
        path for path in folder.glob("*.unusable-*") if not path.name.endswith(("-wal", "-shm"))
    ]


def test_it_outlives_its_process(tmp_path: Path) -> None:
    """The folder is made, and what was written is there for the next one; for nobody else."""
    path = tmp_path / "data" / "a.db"
    first = Database(path, [FIRST])
    first.write(add("one"))
    first.close()
    assert texts(Database(path, [FIRST])) == ["one"]
    assert path.stat().st_mode & 0o077 == 0


def test_versions(tmp_path: Path) -> None:
    """An older file is brought to the newest version, once, and keeps what it has."""
    path = tmp_path / "a.db"
    Database(path, [FIRST]).write(add("old"))
    newer = Database(path, [FIRST, SECOND])
    mood = "SELECT mood FROM notes"
    assert newer.read(lambda c: c.execute(mood).fetchone()) == ("calm",)
    assert texts(Database(path, [FIRST, SECOND])) == ["old"]


def test_a_failed_change_changes_nothing(tmp_path: Path) -> None:
    """Half of a transaction is none of it, and the connection goes on."""
    held = Database(tmp_path / "a.db", [FIRST])

    def half(connection: sqlite3.Connection) -> None:
        add("half")(connection)
        raise ValueError("in the middle")

    with pytest.raises(ValueError, match="middle"):
        held.write(half)
    with pytest.raises(StorageUnavailable, match=r"a\.db cannot be used: no such table"):
        held.write(lambda c: c.execute("INSERT INTO absent VALUES (1)"))
    held.write(add("whole"))
    assert texts(held) == ["whole"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: path.write_bytes(b"no database at all, but long enough to be looked at" * 30),
        lambda path: path.write_bytes(path.read_bytes()[:5000]),
        lambda path: sqlite3.connect(path).execute("PRAGMA user_version=99"),
        lambda path: sqlite3.connect(path).execute("PRAGMA application_id=7"),
    ],
    ids=["garbage", "torn", "newer", "foreign"],
)
def test_what_cannot_be_used_is_set_aside(tmp_path: Path, spoil: Callable[[Path], object]) -> None:
    """An empty one takes its place; the old one is still there under another name."""
    path = tmp_path / "a.db"
    first = Database(path, [FIRST])
    first.write(lambda c: c.executemany("INSERT INTO notes VALUES (?)", [("x" * 900,)] * 20))
    first.close()
    spoil(path)
    spoiled = path.read_bytes()
    held = Database(path, [FIRST])
    held.write(add("new"))
    assert texts(held) == ["new"]
    [away] = aside(tmp_path)
    assert away.read_bytes()[:4096] == spoiled[:4096]


def test_somebody_elses_file(tmp_path: Path) -> None:
    """A database without our mark that has tables is not ours to write into."""
    path = tmp_path / "a.db"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE theirs (x)")
    Database(path, [FIRST]).write(add("ours"))
    [away] = aside(tmp_path)
    assert sqlite3.connect(away).execute("SELECT name FROM sqlite_master").fetchall() == [
        ("theirs",)
    ]


def test_damage_while_it_is_open(tmp_path: Path) -> None:
    """Also a file that is torn under a running server is set aside; others then use the new one."""
    path = tmp_path / "a.db"
    one, other = Database(path, [FIRST]), Database(path, [FIRST])
    one.write(lambda c: c.executemany("INSERT INTO notes VALUES (?)", [("x" * 900,)] * 200))
    assert len(texts(other)) == 200
    one.read(lambda c: None)
    with path.open("r+b") as file:
        one._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # type: ignore[union-attr]
        file.seek(4096)
        file.write(os.urandom(4096 * 8))
    one.close()
    other.close()
    assert texts(one) == []
    one.write(add("new"))
    assert texts(other) == ["new"]
    assert len(aside(tmp_path)) == 1


def test_a_file_that_was_taken_away(tmp_path: Path) -> None:
    """It is made anew; what is open is not written to any more."""
    path = tmp_path / "a.db"
    held = Database(path, [FIRST])
    held.write(add("one"))
    path.rename(tmp_path / "moved.db")
    held.write(add("two"))
    assert texts(held) == ["two"]


def test_no_room_for_a_file(tmp_path: Path) -> None:
    """A folder that cannot be made is said in one sentence."""
    (tmp_path / "data").write_text("a file")
    held = Database(tmp_path / "data" / "a.db", [FIRST])
    with pytest.raises(StorageUnavailable, match=r"a\.db cannot be used"):
        held.write(add("one"))


def test_a_lock_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By sleeping, which other greenlets use; not for ever."""
    path = tmp_path / "a.db"
    held = Database(path, [FIRST])
    held.write(add("one"))
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    slept = threading.Event()

    def sleep(seconds: float) -> None:
        assert not held._lock.locked()
        if not slept.is_set():
            other.execute("COMMIT")
        slept.set()

    monkeypatch.setattr(database.time, "sleep", sleep)
    held.write(add("two"))
    assert slept.is_set()
    assert texts(held) == ["one", "two"]

    other.execute("BEGIN IMMEDIATE")
    monkeypatch.setattr(database, "PATIENCE_S", 0.0)
    with pytest.raises(StorageUnavailable, match="locked"):
        held.write(add("three"))
    other.close()


WRITER = """
import sys
from pathlib import Path
from tricorn.storage.database import Database
held = Database(Path(sys.argv[1]), [("CREATE TABLE notes (text TEXT)",)])
sys.stdin.readline()
for number in range(100):
    held.write(lambda c: c.execute("INSERT INTO notes VALUES (?)", (f"{sys.argv[2]}-{number}",)))
"""


def test_several_processes_and_threads(tmp_path: Path) -> None:
    """They open and write at the same moment, the first time too, and nothing is lost."""
    path = tmp_path / "a.db"
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(path), name], stdin=subprocess.PIPE)
        for name in "abc"
    ]
    held = Database(path, [FIRST])
    threads = [
        threading.Thread(target=lambda: [held.write(add("t")) for _ in range(50)]) for _ in range(4)
    ]
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.close()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    found = texts(held)
    assert len(found) == 500
    assert len(set(found)) == 301
    assert aside(tmp_path) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_opens_it_anew(tmp_path: Path) -> None:
    """A child does not use its parent's connection."""
    held = Database(tmp_path / "a.db", [FIRST])
    held.write(add("parent"))
    before = held._connection
    child = os.fork()
    if child == 0:
        held.write(add("child"))
        os._exit(0 if held._connection is not before else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert texts(held) == ["parent", "child"]
