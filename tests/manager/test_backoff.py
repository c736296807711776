"""Tests of `tricorn.manager.replicas.backoff`."""

from __future__ import annotations

import pytest

from tricorn.manager.replicas.backoff import AFTER_CRASH, Backoff


@pytest.mark.parametrize(
    ("failures", "expected"), [(0, 0.0), (1, 1.0), (2, 2.0), (3, 4.0), (4, 5.0), (9999, 5.0)]
)
def test_delay_doubles_up_to_the_longest(failures: int, expected: float) -> None:
    """Each failure in a row doubles the wait, up to a bound."""
    assert Backoff(first_s=1.0, longest_s=5.0).delay_s(failures) == expected


def test_a_single_crash_is_mended_at_once() -> None:
    """The first crash has no wait, the second one has."""
    assert AFTER_CRASH.delay_s(1) == 0.0
    assert AFTER_CRASH.delay_s(2) > 0.0
