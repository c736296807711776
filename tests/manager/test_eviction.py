"""Tests of `tricorn.manager.eviction`, as tables."""

from __future__ import annotations

import pytest

from tricorn.manager.eviction import Resident, choose_victims, choose_yielding

OLD = Resident("old", last_used=1)
NEW = Resident("new", last_used=9)
BUSY = Resident("busy", last_used=0, leases=1)
AWAITED = Resident("awaited", last_used=0, waiting=1)
PINNED = Resident("pinned", last_used=0, pinned=True)


@pytest.mark.parametrize(
    ("residents", "needed", "expected"),
    [
        ([], 1, []),
        ([NEW, OLD], 0, []),
        ([NEW, OLD], -1, []),
        ([NEW, OLD], 1, ["old"]),
        ([NEW, OLD], 2, ["old", "new"]),
        ([NEW, OLD], 3, ["old", "new"]),
        ([BUSY, NEW], 1, ["new"]),
        ([BUSY], 1, []),
        ([AWAITED], 1, []),
        ([PINNED], 1, []),
        ([Resident("b"), Resident("a")], 1, ["a"]),
    ],
)
def test_victims(residents: list[Resident], needed: int, expected: list[str]) -> None:
    """Least recently used idle ones first; never one in use, awaited or pinned."""
    assert choose_victims(residents, needed) == expected


@pytest.mark.parametrize(
    ("residents", "needed", "waiting_since", "now", "expected", "ask_again"),
    [
        ([BUSY], 1, 0.0, 1.0, [], 2.0),
        ([BUSY], 1, 0.0, 2.0, ["busy"], None),
        ([Resident("busy", leases=1, ready_since=5.0)], 1, 0.0, 6.0, [], 7.0),
        ([OLD], 1, 0.0, 9.0, [], None),
        ([Resident("busy", leases=1, pinned=True)], 1, 0.0, 9.0, [], None),
        ([Resident("b", leases=1, last_used=3), BUSY], 1, 0.0, 9.0, ["busy"], None),
    ],
)
def test_yielding(
    residents: list[Resident],
    needed: int,
    waiting_since: float,
    now: float,
    expected: list[str],
    ask_again: float | None,
) -> None:
    """A busy model yields after two seconds of somebody's waiting, and of being ready itself."""
    found = choose_yielding(residents, needed, waiting_since=waiting_since, now=now, patience_s=2.0)
    assert found == (expected, ask_again)
