"""The ledger: how much memory replicas hold, and how much is left for others.

Memory is counted by place: "main", and "cuda:0", "cuda:1", … for GPUs with memory of their own.
What a replica needs is reserved before it starts, replaced by what was measured once it is ready,
and given back when its process is gone. A place that is missing from the budget is not bounded.
"""

from __future__ import annotations

from collections.abc import Mapping

Needs = Mapping[str, int]
"""Bytes by place."""


class Ledger:
    def __init__(self, budget: Needs) -> None:
        self._budget = dict(budget)
        self._held: dict[str, Needs] = {}

    def budget(self) -> Needs:
        """What all replicas together may hold."""
        return self._budget

    def held(self, replica: str) -> Needs:
        """What it holds: reserved, or measured; nothing where it is not known."""
        return self._held.get(replica, {})

    def free(self) -> dict[str, int]:
        """Of the budget; below 0 where more was measured than reserved."""
        return {
            place: size - sum(held.get(place, 0) for held in self._held.values())
            for place, size in self._budget.items()
        }

    def reserve(self, replica: str, needs: Needs) -> None:
        """Before it starts."""
        self._held[replica] = needs

    def settle(self, replica: str, measured: Needs) -> None:
        """It was measured; nothing happens where it holds nothing any more."""
        if replica in self._held:
            self._held[replica] = measured

    def release(self, replica: str) -> None:
        """Its process is gone."""
        self._held.pop(replica, None)
