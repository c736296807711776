"""What to load now and what to end for it. Pure: facts in, a plan out."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from tricorn.manager.memory.ledger import Needs, short_of
from tricorn.manager.pool.eviction import Seat, Shortage, choose_victims, models_of


@dataclass(frozen=True)
class Wish:
    """A replica that a model should have."""

    model: str
    needs: Needs = field(default_factory=dict)
    """Empty: unknown, and so only counted. Of a parked replica what it has to take again."""
    since: float | None = None
    """When the first of those came who wait for it; None: nobody does, and it pushes none out."""


@dataclass(frozen=True)
class Space:
    free: Needs
    """As `Ledger.free`."""
    budget: Needs
    """As `Ledger.budget`."""
    models: int
    """How many may be in memory."""
    unsettled: Needs | None = None
    """While something loads: `Ledger.unheld`. What is short of `free` alone may fit by itself once
    the load is over and it is known what that has taken."""


@dataclass
class Plan:
    load: list[str] = field(default_factory=list)
    """Models that get another replica, or theirs woken."""
    end: list[str] = field(default_factory=list)
    """Replicas without requests, to be ended or parked."""
    drain: list[str] = field(default_factory=list)
    """Replicas to take no new requests, and to be ended once their leases are back."""
    too_large: list[str] = field(default_factory=list)
    """Models that would not fit if nothing else were there."""
    kept_out: list[str] = field(default_factory=list)
    """Models that do not fit beside what may not be evicted, or what other programs hold."""
    ask_again: float | None = None
    """When the answer may be another though nothing has happened."""


def plan(
    wishes: Collection[Wish],
    seats: Collection[Seat],
    space: Space,
    *,
    max_swap_wait_s: float,
    now: float,
) -> Plan:
    """The next step towards every wish. Who waits longest comes first.

    Memory and places come free only when a process has ended or is parked: until then a wish waits
    for what is leaving, and nothing more is evicted for it than is missing beyond that. A younger
    wish that fits may be served before an older one that does not.
    """
    result = Plan()
    free = dict(space.free)
    promised = _sums(free, [seat for seat in seats if seat.leaving])
    everything = _sums(free, [seat for seat in seats if not seat.pinned])
    held = models_of(seats)
    staying = [seat for seat in seats if not seat.leaving]
    coming: set[str] = set()
    someone_waits = False
    for wish in sorted(wishes, key=_urgency):
        if short_of(wish.needs, space.budget):
            result.too_large.append(wish.model)
            continue
        places = space.models - len(held | {wish.model})
        if places >= 0 and not short_of(wish.needs, free):
            if wish.since is None and someone_waits:
                continue  # it would take what they are waiting for
            result.load.append(wish.model)
            held.add(wish.model)
            coming.add(wish.model)
            for left in (free, promised):
                _take(left, wish.needs)
            continue
        if wish.since is None:
            continue
        someone_waits = True
        if places >= 0 and space.unsettled and not short_of(wish.needs, space.unsettled):
            continue
        if short_of(wish.needs, everything):
            result.kept_out.append(wish.model)
            continue
        coming.add(wish.model)
        shortage = Shortage(
            max(0, len(models_of(staying) | coming) - space.models),
            short_of(wish.needs, promised),
        )
        _take(promised, wish.needs)
        if not (shortage.models or shortage.memory):
            continue  # what is leaving is enough
        victims = choose_victims(
            staying,
            shortage,
            waiting_since=wish.since,
            now=now,
            max_swap_wait_s=max_swap_wait_s,
        )
        if victims.ask_again is not None:
            asks = [when for when in (result.ask_again, victims.ask_again) if when is not None]
            result.ask_again = min(asks)
        result.end += victims.idle
        result.drain += victims.busy
        gone = [seat for seat in staying if seat.name in {*victims.idle, *victims.busy}]
        promised |= _sums(promised, gone)
        staying = [seat for seat in staying if seat not in gone]
    return result


def _urgency(wish: Wish) -> tuple[bool, float, str]:
    return wish.since is None, wish.since or 0.0, wish.model


def _sums(start: Mapping[str, int], seats: Collection[Seat]) -> dict[str, int]:
    return {
        place: there + sum(seat.holds.get(place, 0) for seat in seats)
        for place, there in start.items()
    }


def _take(there: dict[str, int], needs: Needs) -> None:
    for place in there:
        there[place] -= needs.get(place, 0)
