"""Which of several answers the model itself finds the likeliest."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from tricorn.engines.request import TokenLogprob


class Ranking:
    """By the mean log probability of a choice's tokens, its end included."""

    def __init__(self) -> None:
        self._sums: defaultdict[int, float] = defaultdict(float)
        self._counts: defaultdict[int, int] = defaultdict(int)

    def add(self, choice: int, entries: list[TokenLogprob]) -> None:
        self._sums[choice] += sum(entry.logprob for entry in entries)
        self._counts[choice] += len(entries)

    def best(self, choices: Iterable[int], count: int) -> list[int]:
        """The likeliest first; equal ones in their order."""
        return sorted(choices, key=self._mean, reverse=True)[:count]

    def _mean(self, choice: int) -> float:
        return self._sums[choice] / max(1, self._counts[choice])
