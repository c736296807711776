"""The ledger: how much memory replicas hold, and how much is left for others.

Memory is counted by place: "main", "cuda:0", "cuda:1", … for GPUs with memory of their own, and
"metal" for what Apple's GPU may use of main memory (what runs there holds both). What a replica
needs is reserved before it starts, replaced by what was measured once it is ready, and given back
when its process is gone. A place that is missing from the budget is not bounded.

Two bounds hold: the budget, less what is held; and what the machine has free now, less what was
reserved by replicas that are still loading, of which nobody knows how much they have taken already.
So `free` may be too small while something loads, and never too large.
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
                left[place] = min(left[place], size - self._sum(place, self._loading))
        return left

    def capacity(self) -> dict[str, int]:
        """What there would be with every replica unloaded. While something loads it may be too
        large, by as much as that has not taken yet: what exceeds it can never fit."""
        most = dict(self._budget)
        for place, size in self._available().items():
            if place in most:
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

    def _sum(self, place: str, replicas: Iterable[str]) -> int:
        return sum(self._held[name].get(place, 0) for name in replicas)
