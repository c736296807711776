"""Which models to load now and which to unload for them. Pure: reads the pool's records only."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from tricorn.manager.eviction import choose_victims, choose_yielding
from tricorn.manager.served_model import ServedModel


@dataclass
class Plan:
    load: list[ServedModel] = field(default_factory=list)
    """Where they are parked: wake."""
    unload: list[ServedModel] = field(default_factory=list)
    """Take no new requests; end once the leases are back."""
    ask_again: float | None = None
    """When the answer may be another though nothing has happened."""

    def ask_again_at(self, when: float) -> None:
        self.ask_again = when if self.ask_again is None else min(self.ask_again, when)


def plan(
    models: Collection[ServedModel], *, max_models: int, patience_s: float, now: float
) -> Plan:
    """The next step towards every waiting request being served.

    Places go to the models whose requests wait longest. A process holds its place until it is
    gone or parked, so that two models never share one.
    """
    result = Plan()
    kept_out: list[ServedModel] = []
    held = [found for served in models if (found := served.replica) and not found.is_parked()]
    free = max_models - len(held)
    for served in sorted(models, key=_longest_wait):
        if not (served.waiting or served.wanted) or (
            served.replica is not None and not served.replica.is_parked()
        ):
            continue
        if served.retry_at > now:
            result.ask_again_at(served.retry_at)
        elif free > 0:
            free -= 1
            result.load.append(served)
        elif served.waiting:  # what is only wanted pushes nobody out
            kept_out.append(served)
    leaving = sum(1 for replica in held if replica.is_leaving())
    if len(kept_out) > leaving:
        _make_room(result, models, kept_out[leaving:], patience_s=patience_s, now=now)
    return result


def parked_too_many(models: Collection[ServedModel], *, max_parked: int) -> list[ServedModel]:
    """The parked models to unload: what nobody could use again, and the least recently used ones
    beyond the bound."""
    parked = [one for one in models if one.replica and one.replica.is_parked()]
    useful = [one for one in parked if one.is_current()]
    useful.sort(key=lambda one: (one.last_used, one.spec.id))
    return [one for one in parked if one not in useful] + useful[: max(0, len(useful) - max_parked)]


def _make_room(
    result: Plan,
    models: Collection[ServedModel],
    kept_out: list[ServedModel],
    *,
    patience_s: float,
    now: float,
) -> None:
    by_name = {served.spec.id: served for served in models}
    residents = [found for served in models if (found := served.resident()) is not None]
    victims = choose_victims(residents, len(kept_out))
    still = kept_out[len(victims) :]
    yielding: list[str] = []
    if still:
        yielding, ask_again = choose_yielding(
            residents,
            len(still),
            waiting_since=min(next(iter(served.waiting)).since for served in still),
            now=now,
            patience_s=patience_s,
        )
        if ask_again is not None:
            result.ask_again_at(ask_again)
    result.unload += [by_name[name] for name in victims + yielding]


def _longest_wait(served: ServedModel) -> tuple[bool, float]:
    first = next(iter(served.waiting), None)
    return first is None, first.since if first is not None else 0.0
