"""Tests of `tricorn.manager.replicas.restarts`."""

from __future__ import annotations

import pytest

from tricorn.manager.replicas.restarts import JITTER, STEADY_S, Decision, RestartHistory


def history(max_restarts: int = 5, window_s: float = 600.0, chance: float = 0.0) -> RestartHistory:
    return RestartHistory(max_restarts=max_restarts, window_s=window_s, chance=lambda: chance)


def waits(loading: bool, times: int, **given: float) -> list[float]:
    """Seconds of each wait, when it fails again as soon as it may."""
    one, now, found = history(100, **given), 0.0, []
    for _ in range(times):
        retry_at = one.failed(now, loading=loading).retry_at
        assert retry_at is not None
        found.append(retry_at - now)
        now = retry_at
    return found


@pytest.mark.parametrize(
    ("loading", "expected"),
    [
        (False, [0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]),
        (True, [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]),
    ],
)
def test_each_failure_in_a_row_doubles_the_wait(loading: bool, expected: list[float]) -> None:
    """A first crash is mended at once; a load waits from the first failure on."""
    assert waits(loading, len(expected)) == expected


def test_chance_makes_a_wait_shorter_and_never_longer() -> None:
    """By at most a quarter, so that what failed together comes back apart."""
    assert waits(True, 3, chance=1.0) == [(1 - JITTER) * wait for wait in (1.0, 2.0, 4.0)]


@pytest.mark.parametrize(
    ("was_ready_s", "expected"), [(STEADY_S - 1, [1, 2, 3]), (STEADY_S, [1, 1, 1])]
)
def test_one_that_was_ready_for_long_has_a_clean_row(
    was_ready_s: float, expected: list[int]
) -> None:
    """Its crash is the first one again, and is mended at once."""
    one = history()
    found = [one.failed(t, loading=False, was_ready_s=was_ready_s).failures for t in (0, 1, 2)]
    assert found == expected


def test_a_load_that_succeeds_ends_a_row_of_failed_loads() -> None:
    """It does not end a row of crashes: each of them had been ready."""
    one = history()
    one.failed(0, loading=True)
    one.failed(1, loading=True)
    one.ready()
    assert one.failed(2, loading=True).failures == 1
    assert history_of_crashes_with_loads_between() == [1, 2, 3]


def history_of_crashes_with_loads_between() -> list[int]:
    one, found = history(), []
    for now in range(3):
        found.append(one.failed(now, loading=False).failures)
        one.ready()
    return found


def test_a_crash_after_failed_loads_is_a_first_one() -> None:
    """It had been ready, or it could not have crashed."""
    one = history()
    one.failed(0, loading=True)
    one.failed(1, loading=True)
    assert one.failed(2, loading=False) == Decision(2.0, False, 1)


def test_a_failed_load_goes_on_with_a_row_of_crashes() -> None:
    """What crashed and cannot come back is no better for it."""
    one = history()
    one.failed(0, loading=False)
    assert one.failed(1, loading=True) == Decision(3.0, False, 2)


@pytest.mark.parametrize(
    ("max_restarts", "times", "expected"),
    [
        (2, [0, 1, 2], [False, False, True]),
        (2, [0, 1, 101], [False, False, False]),  # the first one is too long ago
        (2, [0, 1, 100], [False, False, True]),
        (2, [0, 60, 120, 180, 190], [False, False, False, False, True]),
        (0, [0], [True]),
        (1, [0, 101, 202, 303], [False] * 4),
    ],
)
def test_more_failures_within_the_window_than_may_be(
    max_restarts: int, times: list[float], expected: list[bool]
) -> None:
    """Are the end of trying, steady between or not."""
    one = history(max_restarts, window_s=100.0)
    found = [one.failed(now, loading=False, was_ready_s=STEADY_S) for now in times]
    assert [decision.gave_up for decision in found] == expected
    assert [decision.retry_at is None for decision in found] == expected


@pytest.mark.parametrize("loading", [False, True])
def test_clear_forgets_everything(loading: bool) -> None:
    """As if it had never failed: by a manual retry, or by other files or settings."""
    one = history(max_restarts=2)
    decisions = [one.failed(0, loading=loading) for _ in range(3)]
    assert decisions[-1].gave_up
    one.clear()
    assert one.failed(0, loading=loading) == history().failed(0, loading=loading)
    assert not one.failed(0, loading=loading).gave_up
