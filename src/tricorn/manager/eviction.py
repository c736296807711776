"""Which loaded models make room for others. Pure functions: facts in, names out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Resident:
    """A model that holds a place in memory, loading or loaded."""

    name: str
    leases: int = 0
    """Requests that are using it now."""
    waiting: int = 0
    """Requests that wait for it (it is loading)."""
    last_used: float = 0.0
    """When it was last leased or given back, on the clock of `now`; seconds."""
    ready_since: float = 0.0
    pinned: bool = False
    """Never evicted."""


def choose_victims(residents: Sequence[Resident], needed: int) -> list[str]:
    """Up to `needed` idle models, least recently used first; fewer where others are in use.

    One with leases, with requests waiting for it, or pinned is never chosen.
    """
    idle = [one for one in residents if not (one.leases or one.waiting or one.pinned)]
    idle.sort(key=lambda one: (one.last_used, one.name))
    return [one.name for one in idle[: max(needed, 0)]]


def choose_yielding(
    residents: Sequence[Resident],
    needed: int,
    *,
    waiting_since: float,
    now: float,
    patience_s: float,
) -> tuple[list[str], float | None]:
    """Busy models that shall take no new requests, so that others get their turn at all.

    Without this, a steady stream of requests for one model would keep every other one out for
    ever. A busy model yields once somebody has waited `patience_s` for its place, counted from
    when it became ready at the earliest, so that each turn serves a batch of requests and two
    models in demand do not swap at every request. What runs on it is finished first.

    Returns the names, and when to ask again if patience is what keeps more from being chosen.
    """
    busy = [one for one in residents if one.leases and not one.pinned]
    busy.sort(key=lambda one: (one.last_used, one.name))
    names: list[str] = []
    ask_again: float | None = None
    for one in busy:
        if len(names) >= needed:
            break
        due = max(waiting_since, one.ready_since) + patience_s
        if due <= now:
            names.append(one.name)
        else:
            ask_again = due if ask_again is None else min(ask_again, due)
    return names, ask_again if len(names) < needed else None
