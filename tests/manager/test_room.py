"""Tests of `tricorn.manager.pool.room`, as tables."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tricorn.manager.pool.eviction import Seat
from tricorn.manager.pool.room import Plan, Space, Wish, plan

GB = 10**9
NOW = 100.0
MANY = 1000


def planned(
    wishes: Sequence[Wish],
    seats: Sequence[Seat],
    *,
    free: int,
    budget: int = 16,
    models: int = MANY,
) -> Plan:
    """free, budget: GB of main memory."""
    space = Space({"main": free * GB}, {"main": budget * GB}, models)
    return plan(wishes, seats, space, max_swap_wait_s=10.0, now=NOW)


def wish(model: str, needs: int | None = None, since: float | None = 50.0) -> Wish:
    return Wish(model, {} if needs is None else {"main": needs * GB}, since)


def seat(model: str, holds: int, **facts: object) -> Seat:
    return Seat(f"{model}-1", model, {"main": holds * GB}, **facts)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wishes", "seats", "free", "models", "load", "end", "drain"),
    [
        # it fits
        ([wish("a", 4)], [], 16, MANY, ["a"], [], []),
        ([wish("a", 4), wish("b", 4)], [], 8, MANY, ["a", "b"], [], []),
        # not both: who waits longest
        ([wish("a", 4, 60), wish("b", 4, 50)], [], 7, MANY, ["b"], [], []),
        # an idle one goes first; nothing is loaded before it is gone
        ([wish("a", 4)], [seat("old", 8)], 2, MANY, [], ["old-1"], []),
        ([wish("a", 4)], [seat("old", 8, leaving=True)], 2, MANY, [], [], []),
        ([wish("a", 12)], [seat("x", 8, leaving=True), seat("y", 8)], 0, MANY, [], ["y-1"], []),
        # a younger one that fits need not wait for an older one that does not
        ([wish("a", 12, 40), wish("b", 2, 50)], [seat("x", 10, leases=1, ready_since=99.0)], 4,
         MANY, ["b"], [], []),
        # busy ones yield after a while
        ([wish("a", 4)], [seat("x", 14, leases=1)], 2, MANY, [], [], ["x-1"]),
        ([wish("a", 4, 95)], [seat("x", 14, leases=1)], 2, MANY, [], [], []),
        # what nobody waits for pushes nothing out, and takes nothing from those who wait
        ([wish("a", 4, None)], [seat("old", 8)], 2, MANY, [], [], []),
        ([wish("a", 4, None)], [], 8, MANY, ["a"], [], []),
        ([wish("a", 8), wish("b", 4, None)], [seat("x", 8, leaving=True)], 4, MANY, [], [], []),
        # unknown needs are counted only
        ([wish("a")], [seat("x", 16)], 0, MANY, ["a"], [], []),
        # the count
        ([wish("a", 1)], [seat("x", 1)], 9, 1, [], ["x-1"], []),
        ([wish("a", 1)], [seat("x", 1, parked=True)], 9, 1, ["a"], [], []),
        ([wish("a", 1), wish("b", 1)], [], 9, 1, ["a"], [], []),
        ([wish("a", 1)], [seat("x", 1, leaving=True)], 9, 1, [], [], []),
        # another replica of the same model takes memory, and no place
        ([wish("x", 1, None)], [seat("x", 1)], 9, 1, ["x"], [], []),
        # two wait for two places: both get one
        ([wish("a", 1), wish("b", 1)], [seat("x", 1), seat("y", 1)], 9, 2, [], ["x-1", "y-1"], []),
    ],
)  # fmt: skip
def test_plan(
    wishes: list[Wish],
    seats: list[Seat],
    free: int,
    models: int,
    load: list[str],
    end: list[str],
    drain: list[str],
) -> None:
    found = planned(wishes, seats, free=free, models=models)
    assert (found.load, found.end, found.drain) == (load, end, drain)
    assert found.too_large + found.kept_out == []


def test_what_can_never_fit() -> None:
    """Nothing is evicted for it, and the others go on."""
    found = planned([wish("a", 17), wish("b", 4)], [seat("x", 8)], free=8)
    assert found == Plan(load=["b"], too_large=["a"])


def test_what_others_keep_out() -> None:
    """Pinned models, and programs that are none of ours."""
    pinned = planned([wish("a", 12)], [seat("x", 8, pinned=True)], free=8)
    assert pinned == Plan(kept_out=["a"])
    others = planned([wish("a", 12)], [seat("x", 4)], free=2)
    assert others == Plan(kept_out=["a"])


def test_what_may_fit_once_a_load_is_over() -> None:
    """Nothing is evicted for what the loading one has perhaps not taken."""
    old, loading = seat("old", 4), seat("new", 8, awaited=True)
    for unsettled, evicted in (({"main": 4 * GB}, []), (None, ["old-1"])):
        space = Space({"main": 2 * GB}, {"main": 16 * GB}, MANY, unsettled)
        found = plan([wish("a", 4)], [old, loading], space, max_swap_wait_s=10.0, now=NOW)
        assert (found.load, found.end) == ([], evicted)


def test_asks_again_when_a_busy_one_is_due() -> None:
    found = planned([wish("a", 4, 95)], [seat("x", 14, leases=1)], free=2)
    assert found == Plan(ask_again=105.0)


SEATS = st.lists(
    st.builds(
        lambda number, holds, **facts: Seat(
            f"r{number}", f"m{number % 5}", {"main": holds}, **facts
        ),
        st.integers(0, 20),
        st.integers(0, 8),
        leases=st.integers(0, 2),
        awaited=st.booleans(),
        last_used=st.floats(0, 99),
        ready_since=st.floats(0, 99),
        pinned=st.booleans(),
        leaving=st.booleans(),
        parked=st.booleans(),
    ),
    max_size=8,
    unique_by=lambda one: one.name,
)
WISHES = st.lists(
    st.builds(
        lambda number, needs, since: Wish(f"m{number}", {"main": needs}, since),
        st.integers(0, 8),
        st.integers(0, 20),
        st.none() | st.floats(0, 99),
    ),
    max_size=6,
    unique_by=lambda one: one.model,
)


@given(WISHES, SEATS, st.integers(0, 24), st.integers(1, 6))
def test_rules(wishes: list[Wish], seats: list[Seat], budget: int, models: int) -> None:
    """The budget is kept; only idle ones end, only busy ones drain, never protected ones."""
    free = budget - sum(one.holds["main"] for one in seats)
    found = plan(
        wishes, seats, Space({"main": free}, {"main": budget}, models), max_swap_wait_s=10, now=NOW
    )
    by_name = {one.name: one for one in seats}
    needs = {one.model: one.needs["main"] for one in wishes}
    taken = sum(needs[model] for model in found.load)
    assert not taken or taken <= free or all(needs[model] == 0 for model in found.load)
    held = {one.model for one in seats if not one.parked}
    assert len(held | set(found.load)) <= max(models, len(held))
    for name in found.end + found.drain:
        one = by_name[name]
        assert one.is_evictable()
        assert bool(one.leases) == (name in found.drain)
    assert len(set(found.load)) == len(found.load)
    assert not set(found.load) & set(found.too_large + found.kept_out)
    if not any(one.since is not None for one in wishes):
        assert found.end + found.drain == []
