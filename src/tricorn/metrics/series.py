"""Counters and histograms, by the values of their labels. Used from one thread."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

from tricorn.metrics.exposition import Family, Sample, number


class Counter:
    def __init__(self, name: str, help: str, *labels: str) -> None:
        self._name, self._help, self._labels = name, help, labels
        self._counts: dict[tuple[str, ...], float] = {}

    def add(self, amount: float, *values: str) -> None:
        """values: of the labels, in their order."""
        self._counts[values] = self._counts.get(values, 0) + amount

    def family(self) -> Family:
        samples = [
            Sample(dict(zip(self._labels, values, strict=True)), count)
            for values, count in self._counts.items()
        ]
        return Family(self._name, "counter", self._help, samples)


class Histogram:
    """bounds: of its buckets, rising; what is above the last one has its own."""

    def __init__(self, name: str, help: str, bounds: Sequence[float], *labels: str) -> None:
        self._name, self._help, self._labels = name, help, labels
        self._bounds = bounds
        self._counts: dict[tuple[str, ...], list[int]] = {}
        self._sums: dict[tuple[str, ...], float] = {}

    def observe(self, value: float, *values: str) -> None:
        self._of(values)[bisect_left(self._bounds, value)] += 1
        self._sums[values] += value

    def merge(self, counts: Sequence[int], total: float, *values: str) -> None:
        """Add what was counted elsewhere by the same bounds; total: the sum of what was counted."""
        own = self._of(values)
        if len(counts) != len(own):
            raise ValueError(f"{len(own)} buckets, and not {len(counts)}")
        for index, count in enumerate(counts):
            own[index] += count
        self._sums[values] += total

    def family(self) -> Family:
        family = Family(self._name, "histogram", self._help)
        for values, counts in self._counts.items():
            labels = dict(zip(self._labels, values, strict=True))
            so_far = 0
            for bound, count in zip((*self._bounds, float("inf")), counts, strict=True):
                so_far += count
                sample = Sample({**labels, "le": number(bound)}, so_far, "_bucket")
                family.samples.append(sample)
            family.samples.append(Sample(labels, self._sums[values], "_sum"))
            family.samples.append(Sample(labels, so_far, "_count"))
        return family

    def _of(self, values: tuple[str, ...]) -> list[int]:
        if values not in self._counts:
            self._counts[values] = [0] * (len(self._bounds) + 1)
            self._sums[values] = 0.0
        return self._counts[values]
