"""Keys in a file that is damaged, locked, read-only or full: a clear error, and all is as it was
once the file is mended."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from tricorn.access import secret
from tricorn.access.terms import Terms
from tricorn.errors import StorageUnavailable
from tricorn.storage import database
from tricorn.storage.keys import FILE, KeyStore, UsageRow

TODAY = UsageRow("2026-11-21", "k", "m", 1, 2, 3)


@pytest.fixture
def store(tmp_path: Path) -> KeyStore:
    """With a key, and some usage."""
    made = KeyStore(tmp_path)
    made.create("ann", Terms())
    made.add([TODAY], {})
    return made


def _newer(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version=99")
    connection.close()


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda path: path.write_bytes(b"no database at all" * 300), "file is not a database"),
        (lambda path: path.write_bytes(path.read_bytes()[:5000]), "malformed"),
        (_newer, "a newer version"),
    ],
    ids=["garbage", "torn", "newer"],
)
def test_damaged(
    store: KeyStore, tmp_path: Path, spoil: Callable[[Path], object], why: str
) -> None:
    """It is left as it is: an empty one would let in whom the keys kept out. A backup's keys hold
    at once."""
    path = tmp_path / FILE
    (key,) = store.all()
    store.close()
    backup = path.read_bytes()
    spoil(path)
    spoiled = path.read_bytes()
    for use in (store.all, lambda: store.create("b", Terms()), lambda: store.add([TODAY], {})):
        with pytest.raises(StorageUnavailable, match=rf"keys\.db cannot be used: .*{why}.*backup"):
            use()
    store.close()
    assert path.read_bytes() == spoiled
    assert [one.name for one in tmp_path.glob("*unusable*")] == []
    for beside in tmp_path.glob(f"{FILE}-*"):
        beside.unlink()
    path.write_bytes(backup)
    assert store.all() == [key]
    assert store.usage("2026") == [TODAY]


def test_locked(store: KeyStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys can be read beside somebody who writes; what is written is waited with, and refused."""
    monkeypatch.setattr(database, "PATIENCE_S", 0.02)
    other = sqlite3.connect(tmp_path / FILE, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert len(store.all(live=True)) == 1
    with pytest.raises(StorageUnavailable, match=r"keys\.db cannot be used: database is locked$"):
        store.add([TODAY], {})
    other.execute("ROLLBACK")
    other.close()
    store.add([TODAY], {})
    assert store.usage("2026") == [UsageRow("2026-11-21", "k", "m", 2, 4, 6)]


@pytest.mark.parametrize(
    ("pragma", "why"),
    [("query_only=1", "readonly database"), ("max_page_count=1", "disk is full")],
    ids=["read-only", "full"],
)
def test_nothing_can_be_written(store: KeyStore, pragma: str, why: str) -> None:
    """Half of what was to be written is none of it; keys hold meanwhile."""

    def limit(connection: sqlite3.Connection) -> None:
        connection.execute(f"PRAGMA {pragma}")

    (key,) = store.all()
    store._database.read(limit)
    large = [UsageRow("2026-11-21", f"key {number}", "m" * 900, 1, 1, 1) for number in range(99)]
    with pytest.raises(StorageUnavailable, match=rf"keys\.db cannot be used: .*{why}"):
        store.add([TODAY, *large], {})
    with pytest.raises(StorageUnavailable, match=why):
        store.create("n" * 200, Terms(models=tuple(f"{number}" * 90 for number in range(99))))
    assert store.all(live=True) == [key]
    assert store.usage("2026") == [TODAY]
    store.close()  # mended: opened anew
    store.add([TODAY], {})
    assert store.usage("2026") == [UsageRow("2026-11-21", "k", "m", 2, 4, 6)]


def test_a_key_that_is_not_understood(store: KeyStore) -> None:
    """Terms that some other version wrote."""
    store._database.write(lambda c: c.execute("UPDATE keys SET terms = '{\"weight\": []}'"))
    with pytest.raises(StorageUnavailable, match="a key that is not understood"):
        store.all()


def test_a_secret_of_other_bytes(store: KeyStore, tmp_path: Path) -> None:
    """Is told as damaged, whatever it is made of."""
    for content in (b"\xff\xfe" * 40, b"x" * 64):
        (tmp_path / secret.SECRET_FILE).write_bytes(content)
        with pytest.raises(StorageUnavailable, match="is damaged"):
            KeyStore(tmp_path).digest("a key")
