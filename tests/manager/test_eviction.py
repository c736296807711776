"""Tests of `tricorn.manager.pool.eviction`, as tables."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tricorn.manager.pool.eviction import Seat, Shortage, Victims, choose_victims

GB = 10**9
NOW, WAIT_S = 100.0, 10.0

OLD = Seat("old", "a", {"main": 2 * GB}, last_used=1)
NEW = Seat("new", "b", {"main": 2 * GB}, last_used=90)
BIG = Seat("big", "c", {"main": 8 * GB}, last_used=50)
BUSY = Seat("busy", "d", {"main": 4 * GB}, leases=1, last_used=40)
AWAITED = Seat("awaited", "e", {"main": 4 * GB}, awaited=True)
PINNED = Seat("pinned", "f", {"main": 4 * GB}, pinned=True)
LEAVING = Seat("leaving", "g", {"main": 4 * GB}, leaving=True)
PARKED = Seat("parked", "h", {"main": 4 * GB}, parked=True)
UNKNOWN = Seat("unknown", "i")
ON_GPU = Seat("on gpu", "j", {"main": GB, "cuda:0": 8 * GB})
TWIN = Seat("twin", "a", {"main": 2 * GB}, last_used=95)
SLOW = Seat("slow", "k", {"main": 2 * GB}, last_used=1, reload_s=400)

PLACE = Shortage(models=1)


def memory(size: int, place: str = "main") -> Shortage:
    return Shortage(memory={place: size})


@pytest.mark.parametrize(
    ("seats", "shortage", "idle", "busy"),
    [
        # the least recently used one, and no more than are needed
        ([NEW, OLD], PLACE, ["old"], []),
        ([NEW, OLD], Shortage(models=2), ["old", "new"], []),
        ([NEW, OLD], Shortage(models=3), [], []),
        ([NEW, OLD], memory(GB), ["old"], []),
        ([NEW, OLD], memory(3 * GB), ["old", "new"], []),
        ([NEW, OLD], memory(5 * GB), [], []),
        # not in vain: where the big one is needed anyhow, the old one stays
        ([OLD, BIG], memory(7 * GB), ["big"], []),
        ([OLD, BIG], memory(9 * GB), ["old", "big"], []),
        # a slow load counts
        ([SLOW, NEW], PLACE, ["new"], []),
        # never these
        ([AWAITED, PINNED, LEAVING], PLACE, [], []),
        ([AWAITED, PINNED, LEAVING], memory(GB), [], []),
        # what is parked has no place, but memory
        ([PARKED], PLACE, [], []),
        ([PARKED], memory(GB), ["parked"], []),
        # of which nothing is known has a place, but no memory
        ([UNKNOWN], PLACE, ["unknown"], []),
        ([UNKNOWN], memory(GB), [], []),
        # only what helps: another device's memory does not
        ([OLD, ON_GPU], memory(GB, "cuda:0"), ["on gpu"], []),
        ([OLD], memory(GB, "cuda:0"), [], []),
        # a place is free once all replicas of a model are gone
        ([OLD, TWIN, NEW], PLACE, ["new"], []),
        ([OLD, replace(TWIN, last_used=2), NEW], PLACE, ["old", "twin"], []),
        ([OLD, TWIN], PLACE, ["old", "twin"], []),
        ([OLD, TWIN], memory(GB), ["old"], []),
        # busy ones after idle ones
        ([BUSY, NEW], PLACE, ["new"], []),
        ([BUSY], PLACE, [], ["busy"]),
        ([BUSY, NEW], memory(5 * GB), ["new"], ["busy"]),
        ([BUSY, NEW], memory(3 * GB), [], ["busy"]),
        ([], PLACE, [], []),
    ],
)
def test_victims(seats: list[Seat], shortage: Shortage, idle: list[str], busy: list[str]) -> None:
    found = choose_victims(seats, shortage, waiting_since=0.0, now=NOW, max_swap_wait_s=WAIT_S)
    assert (sorted(found.idle), sorted(found.busy)) == (sorted(idle), sorted(busy))
    assert bool(found) == bool(idle or busy)


@pytest.mark.parametrize(
    ("seat", "waiting_since", "expected"),
    [
        (BUSY, 95.0, Victims(ask_again=105.0)),
        (BUSY, 90.0, Victims(busy=("busy",))),
        # each turn serves for a while, however long others wait already
        (Seat("m", "m", leases=1, ready_since=95.0), 0.0, Victims(ask_again=105.0)),
        (Seat("m", "m", leases=1, pinned=True), 95.0, Victims()),
    ],
)
def test_busy_ones_yield_in_time(seat: Seat, waiting_since: float, expected: Victims) -> None:
    found = choose_victims(
        [seat], PLACE, waiting_since=waiting_since, now=NOW, max_swap_wait_s=WAIT_S
    )
    assert found == expected
