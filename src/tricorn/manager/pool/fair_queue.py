"""A queue that is fair between keys: deficit round robin. Pure.

The keys with something waiting take turns. At each turn a key is credited with its weight and may
pop what that pays for; what is left over counts at its next turn, as long as something of it
waits. So the shares of keys that always wait are as their weights, however much each of them asks
for, and within a key it is first come first served.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections import OrderedDict
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T", bound=Hashable)

ROUNDING = 1e-9
"""Credit that is short by less pays too: ten times 0.1 shall be 1."""


@dataclass
class _Entry:
    arrival: int
    cost: float


@dataclass
class _Line(Generic[T]):
    """What waits of one key."""

    weight: float
    entries: OrderedDict[T, _Entry] = field(default_factory=OrderedDict)
    credit: float = 0.0
    credited: bool = False
    """Its turn has begun."""

    def head(self) -> tuple[T, _Entry]:
        return next(iter(self.entries.items()))

    def missing(self) -> float:
        """The credit it lacks for its first."""
        return self.head()[1].cost - self.credit - ROUNDING


class FairQueue(Generic[T]):
    """Of items that are told apart by `==` and `hash`, each at most once in it."""

    def __init__(self) -> None:
        self._round: OrderedDict[str, _Line[T]] = OrderedDict()
        """The keys with something waiting; the first has its turn."""
        self._keys: dict[T, str] = {}
        self._arrivals = itertools.count()

    def push(self, item: T, key: str, weight: float = 1.0, cost: float = 1.0) -> None:
        """Put `item` behind the others of `key`; a key of which nothing waits joins the round at
        its end, with no credit.

        weight: over 0; the newest counts for the whole key. cost: of this item, over 0. ValueError
        otherwise, and where `item` waits already.
        """
        self._check(item, weight, cost)
        line = self._round.get(key)
        if line is None:
            line = self._round[key] = _Line(weight)
        line.weight = weight
        line.entries[item] = _Entry(next(self._arrivals), cost)
        self._keys[item] = key

    def peek(self) -> T | None:
        """What `pop` would give."""
        line = self._turn()
        return None if line is None else line.head()[0]

    def pop(self) -> T | None:
        """Take the item out whose turn it is; None where nothing waits."""
        line = self._turn()
        if line is None:
            return None
        item, entry = line.head()
        line.credit -= entry.cost
        self.remove(item)
        return item

    def remove(self, item: T) -> bool:
        """Take `item` out, wherever it stands; whether it was there."""
        key = self._keys.pop(item, None)
        if key is None:
            return False
        line = self._round[key]
        del line.entries[item]
        if not line.entries:  # an idle key saves nothing up
            del self._round[key]
        return True

    def oldest(self) -> T | None:
        """What has waited longest, whosever turn it is."""
        heads = (line.head() for line in self._round.values())
        return min(heads, key=lambda head: head[1].arrival)[0] if self._round else None

    def __iter__(self) -> Iterator[T]:
        """All that waits, the oldest first. Not to be changed meanwhile; take a `list` for that."""
        lines = [line.entries.items() for line in self._round.values()]
        for item, _ in heapq.merge(*lines, key=lambda entry: entry[1].arrival):
            yield item

    def __len__(self) -> int:
        return len(self._keys)

    def __contains__(self, item: object) -> bool:
        return item in self._keys

    def _check(self, item: T, weight: float, cost: float) -> None:
        if item in self._keys:
            raise ValueError("it waits already")
        if not (weight > 0 and cost > 0):
            raise ValueError("a weight and a cost must be over 0")

    def _turn(self) -> _Line[T] | None:
        """The line whose first has its turn, which now stands first in the round."""
        if not self._round:
            return None
        while True:
            for _ in range(len(self._round)):
                key, line = next(iter(self._round.items()))
                if not line.credited:
                    line.credit += line.weight
                    line.credited = True
                if line.missing() <= 0:
                    return line
                line.credited = False
                self._round.move_to_end(key)
            # Nobody can pay yet: go on at once to the round before the one in which somebody can.
            lines = self._round.values()
            rounds = min(math.ceil(line.missing() / line.weight) for line in lines) - 1
            for line in lines:
                line.credit += rounds * line.weight
