"""What is stored of responses, for how long, and what goes first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tricorn.storage.database import Database
from tricorn.storage.responses import _MIGRATIONS, FILE, Missing, ResponseStore, Turn

TTL_S = 100


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def make(folder: Path, clock: Clock, **bounds: int) -> ResponseStore:
    bounds = {"ttl_s": TTL_S, "max_responses": 50, "max_bytes": 100_000} | bounds
    return ResponseStore(folder, clock=clock, **bounds)


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> ResponseStore:
    return make(tmp_path, clock)


def turn(name: str, padding: int = 0) -> Turn:
    sent = [{"id": f"in_{name}", "text": "x" * padding}]
    return Turn(sent, {"id": name, "output": [{"id": f"out_{name}"}]})


def there(store: ResponseStore, *names: str) -> list[str]:
    found = []
    for name in names:
        try:
            store.get(name)
        except Missing:
            continue
        found.append(name)
    return found


def test_it_is_given_back(store: ResponseStore, tmp_path: Path, clock: Clock) -> None:
    """As it was, also by another process's store; what was deleted is not."""
    store.save(turn("a"))
    assert make(tmp_path, clock).get("a") == turn("a")
    store.delete("a")
    for call in (store.get, store.turns, store.delete):
        with pytest.raises(Missing) as caught:
            call("a")
        assert caught.value.response_id == "a"
    assert store.item("in_a") is None


def test_a_conversation(store: ResponseStore) -> None:
    """Its turns in their order, of every branch of it; one that lost a turn says which."""
    store.save(turn("a"))
    store.save(turn("b"), "a")
    store.save(turn("c"), "b")
    store.save(turn("other"), "a")
    assert store.turns("c") == [turn("a"), turn("b"), turn("c")]
    assert store.turns("other") == [turn("a"), turn("other")]
    store.delete("a")
    with pytest.raises(Missing) as caught:
        store.turns("c")
    assert caught.value.response_id == "a"
    assert store.get("c") == turn("c")


def test_items(store: ResponseStore, clock: Clock) -> None:
    """Every item of a stored response can be named, those that came in too."""
    store.save(turn("a"))
    assert store.item("in_a") == {"id": "in_a", "text": ""}
    assert store.item("out_a") == {"id": "out_a"}
    assert store.item("a") is None
    clock.now += TTL_S
    assert store.item("in_a") is None


def test_the_same_item_twice(store: ResponseStore) -> None:
    """Clients send back what they got: an id may be in several responses, or twice in one."""
    item: dict[str, Any] = {"id": "same"}
    store.save(Turn([item, item], {"id": "a", "output": [item]}))
    store.save(Turn([item], {"id": "b", "output": []}))
    store.delete("a")
    assert store.item("same") == item


def test_it_expires(store: ResponseStore, clock: Clock) -> None:
    """Once its time is over it is not there, and the next save takes it out of the file."""
    store.save(turn("a"))
    clock.now += TTL_S - 1
    assert there(store, "a") == ["a"]
    clock.now += 1
    assert there(store, "a") == []
    with pytest.raises(Missing):
        store.delete("a")
    store.save(turn("b"))
    assert counted(store) == 1


def test_continuing_renews_the_conversation(store: ResponseStore, clock: Clock) -> None:
    """Its first turn lives as long as its last one."""
    store.save(turn("a"))
    clock.now += TTL_S - 1
    store.save(turn("b"), "a")
    clock.now += TTL_S - 1
    assert store.turns("b") == [turn("a"), turn("b")]


def test_a_number_is_kept(tmp_path: Path, clock: Clock) -> None:
    """What was not continued for longest goes first, of one conversation the oldest turn."""
    store = make(tmp_path, clock, max_responses=3)
    for name, previous in (("a", None), ("b", None), ("a2", "a"), ("c", None)):
        clock.now += 1
        store.save(turn(name), previous)
    assert there(store, "a", "b", "a2", "c") == ["a", "a2", "c"]
    store.save(turn("d"))
    assert there(store, "a", "a2", "c", "d") == ["a2", "c", "d"]
    assert counted(store) == 3


def test_a_size_is_kept(tmp_path: Path, clock: Clock) -> None:
    """Together they have at most so many bytes; one that has more by itself is not kept."""
    store = make(tmp_path, clock, max_bytes=10_000)
    for name in "abc":
        clock.now += 1
        store.save(turn(name, 4000))
    assert there(store, "a", "b", "c") == ["b", "c"]
    store.save(turn("huge", 10_000))
    assert there(store, "b", "c", "huge") == ["b", "c"]
    store.delete("b")
    store.save(turn("d", 4000))
    assert there(store, "c", "d") == ["c", "d"]


def test_a_lower_bound(tmp_path: Path, clock: Clock) -> None:
    """After a start with less room, the first save makes it so."""
    store = make(tmp_path, clock)
    for number in range(50):
        store.save(turn(f"r{number}"))
    fewer = make(tmp_path, clock, max_responses=5)
    fewer.save(turn("new"))
    assert counted(fewer) == 5
    assert not make(tmp_path, clock, max_responses=0).keeps


def counted(store: ResponseStore) -> int:
    query = "SELECT owner, count(*), sum(size) FROM responses GROUP BY owner ORDER BY owner"
    rows = store._database.read(lambda c: c.execute(query).fetchall())
    owners = "SELECT owner, responses, bytes FROM owners ORDER BY owner"
    assert store._database.read(lambda c: c.execute(owners).fetchall()) == rows
    items = "SELECT count(*) FROM items WHERE response NOT IN (SELECT id FROM responses)"
    assert store._database.read(lambda c: c.execute(items).fetchone()) == (0,)
    return sum(number for _owner, number, _bytes in rows)


def test_owners(tmp_path: Path) -> None:
    """What one has stored is not there for another, whatever it is asked for by."""
    store = ResponseStore(tmp_path, ttl_s=100, max_responses=10, max_bytes=10**6)
    item = {"id": "item_1", "type": "message"}
    turn = Turn([item], {"id": "resp_1", "output": []})
    ann, bob = store.of("ann"), store.of("bob")
    ann.save(turn)
    assert ann.get("resp_1") == turn
    assert ann.item("item_1") == item
    for other in (bob, store):
        assert other.item("item_1") is None
        for look in (other.get, other.turns, other.delete):
            with pytest.raises(Missing):
                look("resp_1")
    bob.save(Turn([], {"id": "resp_2", "output": []}), previous="resp_1")
    with pytest.raises(Missing) as caught:
        bob.turns("resp_2")
    assert caught.value.response_id == "resp_1"
    ann.delete("resp_1")


def test_nobody_takes_anothers_room(tmp_path: Path, clock: Clock) -> None:
    """Who has the most makes room, in number as in bytes, whoever it is needed for."""
    store = make(tmp_path, clock, max_responses=4)
    ann, bob = store.of("ann"), store.of("bob")
    ann.save(turn("old"))
    for name in "abcde":
        clock.now += 1
        bob.save(turn(name))
    assert there(ann, "old") == ["old"]
    assert there(bob, *"abcde") == ["c", "d", "e"]
    ann.save(turn("second"))
    assert there(bob, *"abcde") == ["d", "e"]
    assert counted(store) == 4
    smaller = make(tmp_path, clock, max_bytes=10_000)
    smaller.of("bob").save(turn("large", 8_000))
    smaller.of("ann").save(turn("third", 4_000))
    assert there(ann, "old", "second", "third") == ["old", "second", "third"]
    assert there(bob, "d", "e", "large") == []
    assert counted(store) == 3


def test_a_file_of_before_owners_were_counted(tmp_path: Path, clock: Clock) -> None:
    """It keeps what it has, and counts it."""
    older = Database(tmp_path / FILE, _MIGRATIONS[:2])
    row = ("r", None, int(clock.now) + 9, 1, 40, b"[]", b'{"id": "r", "output": []}', "ann")
    marks = ", ".join("?" * len(row))
    older.write(lambda c: c.execute(f"INSERT INTO responses VALUES ({marks})", row))
    older.close()
    store = make(tmp_path, clock, max_responses=1)
    assert store.of("ann").get("r").response["id"] == "r"
    store.of("ann").save(turn("new"))
    assert there(store.of("ann"), "r", "new") == ["new"]
    assert counted(store) == 1
