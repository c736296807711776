"""Tests of `tricorn.storage.keys`."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from tests.access.clock import Clock

from tricorn.access.terms import Terms
from tricorn.errors import Conflict, KeyNotFound, StorageUnavailable
from tricorn.storage import database
from tricorn.storage.keys import FILE, KeyStore, StoredKey, UsageRow, day

CHAT = Terms(permissions=("chat",), requests_per_minute=3)


@pytest.fixture
def clock() -> Clock:
    return Clock(1_800_000_000.0)


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> KeyStore:
    return KeyStore(tmp_path, clock)


def test_a_key_is_kept_as_an_hmac(store: KeyStore, tmp_path: Path) -> None:
    """Whoever reads the file has no key."""
    key, text = store.create("ann", CHAT)
    assert KeyStore(tmp_path).all() == [key]
    assert key.digest == store.digest(text)
    told = key.told()
    assert "digest" not in told
    assert (told["name"], told["requests_per_minute"], told["hint"]) == ("ann", 3, f"…{text[-4:]}")
    store.close()
    content = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert text.encode() not in content


def test_looking_makes_nothing(store: KeyStore, tmp_path: Path) -> None:
    """Where nobody has keys there is no file."""
    assert store.all() == []
    assert store.usage("2026") == []
    store.configure([])
    assert list(tmp_path.iterdir()) == []


def test_live_ones(store: KeyStore, clock: Clock) -> None:
    """Neither revoked nor expired."""
    lasting, _ = store.create("a", CHAT)
    store.create("b", CHAT, clock.now + 10)
    gone, _ = store.create("c", CHAT)
    store.revoke(gone.id)
    clock.now += 10
    assert store.all(live=True) == [lasting]
    assert len(store.all()) == 3
    assert store.revoke(gone.id).revoked == clock.now - 10, "once"


def test_change_and_rotate(store: KeyStore) -> None:
    """The id stays; after a rotation the old key is none."""
    key, text = store.create("a", CHAT)
    changed = store.change(
        key.id, lambda found: msgspec.structs.replace(found, name="b", terms=Terms(), expires=9e9)
    )
    assert (changed.name, changed.terms, changed.expires) == ("b", Terms(), 9e9)
    assert changed.digest == key.digest
    rotated, other = store.rotate(key.id)
    assert other != text
    assert (rotated.id, rotated.digest) == (key.id, store.digest(other))


def test_nobody_else_changes_it_meanwhile(
    store: KeyStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What one writes is made of what it has read: no other change comes in between."""
    monkeypatch.setattr(database, "PATIENCE_S", 0)
    key, _ = store.create("a", CHAT)
    other = KeyStore(tmp_path)

    def edit(found: StoredKey) -> StoredKey:
        for change in (other.revoke, other.rotate):
            with pytest.raises(StorageUnavailable, match="locked"):
                change(key.id)
        return msgspec.structs.replace(found, name="b")

    assert store.change(key.id, edit) == other.get(key.id)
    assert (other.get(key.id).name, other.get(key.id).revoked) == ("b", None)


def test_what_cannot_be_changed(store: KeyStore) -> None:
    """What is not there, what is revoked, what the settings have."""
    with pytest.raises(KeyNotFound):
        store.rotate("key_x")
    key, _ = store.create("a", CHAT)
    store.revoke(key.id)
    with pytest.raises(Conflict, match="revoked"):
        store.rotate(key.id)
    store.configure(["password1"])
    (configured,) = store.all(live=True)
    for change in (store.rotate, store.revoke):
        with pytest.raises(Conflict, match="API_KEYS"):
            change(configured.id)


def test_keys_of_the_settings(store: KeyStore) -> None:
    """They come and go with the settings, and stay the same meanwhile."""
    own, text = store.create("own", CHAT)
    store.configure(["password1", "password2"])
    first = next(key for key in store.all() if key.digest == store.digest("password1"))
    assert first.configured
    assert first.terms.permissions == ("all",)
    store.configure(["password3", "password1", text])
    kept = {key.digest for key in store.all()}
    assert kept == {store.digest(one) for one in ("password1", "password3", text)}
    assert store.get(first.id) == first
    assert store.get(own.id) == own, "one that was created here stays what it is"
    store.configure([])
    assert store.all() == [own]


def test_usage_adds_up(store: KeyStore, clock: Clock) -> None:
    """By day, key and model; the key tells when it was last used."""
    key, _ = store.create("a", CHAT)
    store.add([UsageRow("2026-01-01", key.id, "m", 1, 10, 5)], {key.id: clock.now})
    store.add(
        [UsageRow("2026-01-01", key.id, "m", 1, 1, 1), UsageRow("2026-01-02", "", "n", 1, 0, 2)],
        {},
    )
    assert store.usage("2026-01-01") == [
        UsageRow("2026-01-01", key.id, "m", 2, 11, 6),
        UsageRow("2026-01-02", "", "n", 1, 0, 2),
    ]
    assert len(store.usage("2026-01-02")) == 1
    assert len(store.usage("2026-01-01", "2026-01-01")) == 1
    assert len(store.usage("2026-01-01", key=key.id)) == 1
    assert len(store.usage("2026-01-01", model="n")) == 1
    assert store.get(key.id).last_used == clock.now
    assert day(clock.now) == "2027-01-15"


def test_without_its_secret(store: KeyStore, tmp_path: Path) -> None:
    """A damaged one is said, not replaced: that would void every key."""
    (tmp_path / "secret").write_text("x")
    with pytest.raises(StorageUnavailable, match="damaged"):
        store.create("a", CHAT)
    assert not (tmp_path / FILE).exists()
