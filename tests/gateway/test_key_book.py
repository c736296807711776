"""Tests of `tricorn.gateway.guard.key_book`."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.access.clock import Clock

from tricorn.access.terms import Terms
from tricorn.gateway.guard.key_book import FRESH_S, KeyBook
from tricorn.storage.keys import KeyStore


@pytest.fixture
def wall() -> Clock:
    return Clock(1_800_000_000.0)


@pytest.fixture
def store(tmp_path: Path, wall: Clock) -> KeyStore:
    return KeyStore(tmp_path, wall)


def test_it_is_read_again_every_second(store: KeyStore, wall: Clock) -> None:
    """Then a new key holds, and a revoked one does not."""
    clock = Clock()
    book = KeyBook(store, clock, wall)
    assert not book.has_any()
    key, text = store.create("a", Terms())
    assert book.find(text) is None
    clock.now += FRESH_S
    found = book.find(text)
    assert found is not None
    assert (found.key_id, found.name, found.terms) == (key.id, "a", Terms())
    assert book.has_any()
    assert book.find(text + "x") is None
    store.revoke(key.id)
    assert book.find(text) is not None
    book.forget()
    assert book.find(text) is None


def test_a_key_expires_on_time(store: KeyStore, wall: Clock) -> None:
    """Not only with the next reading."""
    book = KeyBook(store, Clock(), wall)
    _, text = store.create("a", Terms(), expires=wall.now + 0.5)
    assert book.find(text) is not None
    wall.now += 0.5
    assert book.find(text) is None


def test_those_of_the_settings(store: KeyStore, wall: Clock) -> None:
    """They may do everything."""
    book = KeyBook(store, Clock(), wall)
    assert not book.has_configured()
    store.configure(["password1"])
    book.forget()
    assert book.has_configured()
    found = book.find("password1")
    assert found is not None
    assert found.may("admin")


def test_keys_are_told_apart_by_their_digests_alone(
    store: KeyStore, wall: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each look digests the whole text, right or wrong, and nothing compares texts: how much of a
    wrong key is right makes no difference to anything."""
    _, text = store.create("a", Terms())
    book = KeyBook(store, Clock(), wall)
    digested: list[str] = []
    digest = store.digest

    def noted(given: str) -> str:
        digested.append(given)
        return digest(given)

    monkeypatch.setattr(store, "digest", noted)
    tried = [text, text[:-1], text[:-1] + "?", "?" + text[1:], "x", text.swapcase()]
    assert [book.find(one) is not None for one in tried] == [True, *[False] * 5]
    assert digested == tried
    assert len({digest(one)[:4] for one in tried}) > 3
    assert text not in repr(book._current())
