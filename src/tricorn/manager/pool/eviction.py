"""Which replicas make room for others. Pure functions: facts in, names out."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from tricorn.manager.memory.ledger import Needs


@dataclass(frozen=True)
class Seat:
    """A replica that holds memory, in whatever state. Times are seconds on the clock of `now`."""

    name: str
    model: str
    holds: Needs = field(default_factory=dict)
    """As the ledger has it; empty: unknown."""
    leases: int = 0
    """Requests that are using it now."""
    awaited: bool = False
    """It is loading, and somebody wants it."""
    last_used: float = 0.0
    """When it was last leased or given back."""
    ready_since: float = 0.0
    pinned: bool = False
    """Never evicted."""
    reload_s: float = 1.0
    """What a load of it takes."""
    leaving: bool = False
    """It will be gone by itself."""
    parked: bool = False
    """It holds no place among MAX_CONCURRENT_MODELS."""

    def is_evictable(self) -> bool:
        return not (self.leaving or self.pinned or self.awaited)


@dataclass(frozen=True)
class Shortage:
    """What is missing."""

    models: int = 0
    """Places among MAX_CONCURRENT_MODELS."""
    memory: Needs = field(default_factory=dict)
    """Bytes above 0, by place."""

    def is_helped_by(self, seat: Seat) -> bool:
        by_place = self.models > 0 and not seat.parked
        return by_place or any(seat.holds.get(place, 0) > 0 for place in self.memory)


@dataclass(frozen=True)
class Victims:
    idle: tuple[str, ...] = ()
    """To be ended now."""
    busy: tuple[str, ...] = ()
    """To take no new requests, and to be ended once they have none."""
    ask_again: float | None = None
    """When more may be chosen though nothing has happened."""

    def __bool__(self) -> bool:
        return bool(self.idle or self.busy)


def choose_victims(
    seats: Collection[Seat],
    shortage: Shortage,
    *,
    waiting_since: float,
    now: float,
    max_swap_wait_s: float,
) -> Victims:
    """Replicas whose end ends the shortage; none where that cannot be had now.

    Idle ones go first, the least recently used before the others, where a load that takes long
    counts for its replica. Without more, a steady stream of requests for one model would keep every
    other one out for ever: so a busy replica yields once somebody has waited `max_swap_wait_s`,
    counted from when it became ready at the earliest, and what runs on it is finished first. Each
    turn serves a batch of requests, and two models in demand do not swap at every request.
    """
    useful = [seat for seat in seats if seat.is_evictable() and shortage.is_helped_by(seat)]
    idle = sorted(
        (seat for seat in useful if not seat.leases), key=lambda seat: (-_age(seat, now), seat.name)
    )
    busy = sorted(
        (seat for seat in useful if seat.leases), key=lambda seat: (seat.last_used, seat.name)
    )

    def due(seat: Seat) -> float:
        return max(waiting_since, seat.ready_since) + max_swap_wait_s

    yielding = [seat for seat in busy if due(seat) <= now]
    chosen = _enough([*idle, *yielding], seats, shortage)
    if chosen is not None:
        return Victims(
            tuple(seat.name for seat in chosen if not seat.leases),
            tuple(seat.name for seat in chosen if seat.leases),
        )
    later = [due(seat) for seat in busy if due(seat) > now]
    return Victims(ask_again=min(later, default=None))


def _age(seat: Seat, now: float) -> float:
    """How long it was idle, against what it costs to have it back; the root keeps a model that
    loads slowly from staying for ever while quick ones come and go."""
    return max(0.0, now - seat.last_used) / math.sqrt(max(seat.reload_s, 0.1))


def _enough(
    candidates: Sequence[Seat], seats: Collection[Seat], shortage: Shortage
) -> list[Seat] | None:
    """The first ones that are enough together, without those that are not needed for it."""
    chosen: list[Seat] = []
    for seat in candidates:
        if _covers(chosen, seats, shortage):
            break
        chosen.append(seat)
    if not _covers(chosen, seats, shortage):
        return None
    for seat in reversed(chosen[:-1]):
        fewer = [one for one in chosen if one is not seat]
        if _covers(fewer, seats, shortage):
            chosen = fewer
    return chosen


def _covers(chosen: Collection[Seat], seats: Collection[Seat], shortage: Shortage) -> bool:
    gone = {seat.name for seat in chosen}
    staying = [seat for seat in seats if not (seat.leaving or seat.name in gone)]
    freed = models_of(chosen) - models_of(staying)
    return len(freed) >= shortage.models and all(
        sum(seat.holds.get(place, 0) for seat in chosen) >= missing
        for place, missing in shortage.memory.items()
    )


def models_of(seats: Iterable[Seat]) -> set[str]:
    """The models that these hold places for; all replicas of a model have one."""
    return {seat.model for seat in seats if not seat.parked}
