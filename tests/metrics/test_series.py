"""Tests of `tricorn.metrics.series`."""

from __future__ import annotations

import pytest

from tricorn.metrics import buckets
from tricorn.metrics.exposition import text
from tricorn.metrics.series import Counter, Histogram


def samples(histogram: Histogram) -> dict[tuple[str, ...], float]:
    """(suffix, le) → value."""
    found = histogram.family().samples
    return {(one.suffix, one.labels.get("le", "")): one.value for one in found}


def test_counters_by_labels() -> None:
    counter = Counter("c_total", "C.", "model", "status")
    counter.add(1, "a", "200")
    counter.add(2, "a", "200")
    counter.add(5, "b", "500")
    assert text([counter.family()]).splitlines()[2:] == [
        'tricorn_c_total{model="a",status="200"} 3',
        'tricorn_c_total{model="b",status="500"} 5',
    ]


def test_buckets_are_cumulative() -> None:
    """A value on a bound is within it; the last bucket has all."""
    histogram = Histogram("h", "H.", (0.1, 1.0))
    for value in (0.05, 0.1, 0.5, 7.0):
        histogram.observe(value)
    found = samples(histogram)
    assert [found["_bucket", bound] for bound in ("0.1", "1", "+Inf")] == [2, 3, 4]
    assert (found["_count", ""], found["_sum", ""]) == (4, pytest.approx(7.65))


def test_what_was_counted_elsewhere_is_added() -> None:
    """By the same bounds only."""
    histogram = Histogram("h", "H.", (0.1, 1.0), "model")
    histogram.observe(0.5, "a")
    histogram.merge([1, 0, 2], 9.0, "a")
    found = samples(histogram)
    assert [found["_bucket", bound] for bound in ("0.1", "1", "+Inf")] == [1, 2, 4]
    assert found["_sum", ""] == 9.5
    with pytest.raises(ValueError, match="3 buckets"):
        histogram.merge([1, 0], 1.0, "a")


@pytest.mark.parametrize("bounds", [buckets.TTFT, buckets.GAPS, buckets.REQUEST, buckets.LOAD])
def test_bounds_rise(bounds: tuple[float, ...]) -> None:
    assert list(bounds) == sorted(set(bounds))
