"""The ledger: how much memory replicas hold, and how much is left for others.

Memory is counted by place: "main", "cuda:0", "cuda:1", … for GPUs with memory of their own, and
"metal" for what Apple's GPU may use of main memory (what runs there holds both). What a replica
needs is reserved before it starts, replaced by what was measured once it is ready, and given back
when its process is gone. A place that is missing from the budget is not bounded.

Two bounds hold: the budget, less what is held; and what the machine has free now, less what was
reserved by replicas that are still loading, of which nobody knows how much they have taken already.
So `free` may be too small while something loads, and never too large.

Worker processes that wait for a model (`spares`) take memory as well. It counts as free, for a load
that needs it either takes such a process over or has it end first; so they get only what is left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

Needs = Mapping[str, int]
"""Bytes by place."""
MAIN = "main"
METAL = "metal"


def cuda(number: int) -> str:
    """The place of a GPU, by the number that NVIDIA's driver gives it."""
    return f"cuda:{number}"


def short_of(needs: Needs, there: Needs) -> dict[str, int]:
    """What is missing, by place; empty where it fits. What is not `there` is not bounded."""
    return {
        place: size - there[place]
        for place, size in needs.items()
        if place in there and size > there[place]
    }


class Ledger:
    """available: what the machine has free now, by place; a place it leaves out is not known."""

    def __init__(self, budget: Needs, available: Callable[[], Needs] = dict) -> None:
        self._budget = dict(budget)
        self._available = available
        self._held: dict[str, Needs] = {}
        self._loading: set[str] = set()
        self._lent: dict[str, Needs] = {}
        self._taken: set[str] = set()
        """Of what is lent, that which the machine has free no more."""

    def budget(self) -> Needs:
        """What all replicas together may hold."""
        return self._budget

    def set_budget(self, budget: Needs) -> None:
        """From now on; what is held stays held, also beyond it."""
        self._budget = dict(budget)

    def held(self, replica: str) -> Needs:
        """What it holds: reserved, or measured; nothing where it is not known."""
        return self._held.get(replica, {})

    def holders(self) -> dict[str, Needs]:
        """What each replica holds, by its name."""
        return dict(self._held)

    def is_loading(self) -> bool:
        """Something was reserved that is not settled yet: `free` may rise by itself."""
        return bool(self._loading)

    def unheld(self) -> dict[str, int]:
        """Of the budget; below 0 where more was measured than reserved."""
        return {place: size - self._sum(place, self._held) for place, size in self._budget.items()}

    def free(self) -> dict[str, int]:
        """What can be promised now: of the budget, and of what the machine has."""
        left = self.unheld()
        for place, size in self._available().items():
            if place in left:
                size += self._sum_lent(place, self._taken)
                left[place] = min(left[place], size - self._sum(place, self._loading))
        return left

    def capacity(self) -> dict[str, int]:
        """What there would be with every replica unloaded. While something loads it may be too
        large, by as much as that has not taken yet: what exceeds it can never fit."""
        most = dict(self._budget)
        for place, size in self._available().items():
            if place in most:
                size += self._sum_lent(place, self._taken)
                most[place] = min(most[place], size + self._sum(place, self._held))
        return most

    def reserve(self, replica: str, needs: Needs) -> None:
        """Before it starts."""
        self._held[replica] = dict(needs)
        self._loading.add(replica)

    def settle(self, replica: str, measured: Needs) -> None:
        """It is ready and was measured; a place that could not be measured keeps what was reserved.
        Nothing happens where it holds nothing any more."""
        if replica in self._held:
            self._held[replica] = {**self._held[replica], **measured}
            self._loading.discard(replica)

    def release(self, replica: str) -> None:
        """Its process is gone."""
        self._held.pop(replica, None)
        self._loading.discard(replica)

    def lend(self, spare: str, needs: Needs, *, measured: bool = False) -> None:
        """A spare process is about to take so much; or does, as was `measured`."""
        self._lent[spare] = dict(needs)
        if measured:
            self._taken.add(spare)

    def take_back(self, spare: str) -> None:
        """It is gone, or has become a replica's, which has reserved what it needs."""
        self._lent.pop(spare, None)
        self._taken.discard(spare)

    def lent(self) -> dict[str, Needs]:
        """What each spare process holds, by its name."""
        return dict(self._lent)

    def can_lend(self, needs: Needs) -> bool:
        """Whether so much more is left by all that there is."""
        return not short_of(needs, self._left_by_spares(self.free()))

    def has_lent_too_much(self, *, starting: bool = False) -> bool:
        """Replicas need what spare processes have. starting: one is about to take what it has
        reserved; later in a load nobody knows how much of that is taken from the machine already.
        """
        bound = self.free() if starting or not self._loading else self.unheld()
        left = self._left_by_spares(bound)
        places = {place for needs in self._lent.values() for place in needs}
        return any(left[place] < 0 for place in places if place in left)

    def _left_by_spares(self, free: Needs) -> dict[str, int]:
        return {place: size - self._sum_lent(place, self._lent) for place, size in free.items()}

    def _sum_lent(self, place: str, spares: Iterable[str]) -> int:
        return sum(self._lent[name].get(place, 0) for name in spares)

    def _sum(self, place: str, replicas: Iterable[str]) -> int:
        return sum(self._held[name].get(place, 0) for name in replicas)
