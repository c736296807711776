"""Ended sequences in main memory."""

from __future__ import annotations

import numpy as np

from tricorn.engines.llamacpp.parked import WORTH_SHARE, WORTH_TOKENS, ParkedPrefixes, State

SIZE = 100


def state(size: int = SIZE) -> State:
    return np.zeros(size, dtype=np.uint8)


def prompt(start: int, length: int = 30) -> list[int]:
    return list(range(start, start + length))


def test_the_longest_prefix_that_is_worth_it_matches() -> None:
    """Of several, the one with most tokens in common; too little in common is no match."""
    parked = ParkedPrefixes(10 * SIZE)
    parked.add([*prompt(0), 500], state())
    parked.add([*prompt(0, 20), 600], state())
    entry, length = parked.match([*prompt(0), 7], room=100)
    assert entry is not None
    assert (entry.tokens[-1], length) == (500, 30)
    assert parked.match([*prompt(0, WORTH_TOKENS - 1), 7], room=100) == (None, 0)
    assert parked.match([*prompt(0, WORTH_TOKENS), 7], room=100)[1] == WORTH_TOKENS


def test_a_small_part_of_a_long_one_is_not_worth_the_copy() -> None:
    """All of an entry is copied back, also where little of it is wanted."""
    parked = ParkedPrefixes(10 * SIZE)
    parked.add(prompt(0, 20 * WORTH_SHARE), state())
    assert parked.match([*prompt(0, 19), -1], room=1000) == (None, 0)
    assert parked.match([*prompt(0, 20), -1], room=1000)[1] == 20


def test_without_room_for_the_whole_entry_there_is_no_match() -> None:
    parked = ParkedPrefixes(10 * SIZE)
    parked.add(prompt(0, 30), state())
    assert parked.match(prompt(0, 30), room=29) == (None, 0)
    assert parked.match(prompt(0, 30), room=30)[1] == 30


def test_the_least_recently_used_goes_first() -> None:
    """Using one keeps it; the budget is never exceeded."""
    parked = ParkedPrefixes(3 * SIZE)
    for start in (0, 100, 200):
        parked.add(prompt(start), state())
    entry, _ = parked.match(prompt(0), room=100)
    assert entry is not None
    parked.touch(entry)
    parked.add(prompt(300), state())
    assert [parked.covers(prompt(start)) for start in (0, 100, 200, 300)] == [
        True,
        False,
        True,
        True,
    ]
    assert parked.used == 3 * SIZE


def test_a_prefix_of_what_is_added_goes() -> None:
    """It has nothing of its own; and what is covered needs not be added."""
    parked = ParkedPrefixes(10 * SIZE)
    parked.add(prompt(0, 20), state())
    parked.add(prompt(0, 25), state())
    assert parked.used == SIZE
    assert parked.covers(prompt(0, 20))
    assert not parked.covers(prompt(0, 26))


def test_what_is_larger_than_the_budget_is_not_kept() -> None:
    parked = ParkedPrefixes(SIZE)
    parked.add(prompt(0), state(SIZE + 1))
    assert parked.used == 0
    assert not parked.covers(prompt(0))
