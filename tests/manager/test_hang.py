"""Tests of `tricorn.manager.replicas.hang`."""

from __future__ import annotations

import pytest

from tricorn.engines.base import EngineStats
from tricorn.manager.replicas.hang import HangWatch

Told = tuple[int, int] | None
"""(steps, pending) at each second; None: nothing came."""


def verdicts(timeout_s: float, *seconds: Told) -> list[str | None]:
    """What is thought of it at the end of each second."""
    watch, found = HangWatch(timeout_s, 0.0), []
    for now, told in enumerate(seconds, 1):
        if told is not None:
            watch.told(EngineStats(steps=told[0], pending=told[1]), float(now))
        found.append(watch.verdict(float(now)))
    return found


def is_hung(timeout_s: float, *seconds: Told) -> bool:
    return verdicts(timeout_s, *seconds)[-1] is not None


@pytest.mark.parametrize(
    ("seconds", "hung"),
    [
        ([(7, 1)] * 7, True),
        ([(7, 1)] * 5, False),  # not long enough
        ([(7, 0)] * 20, False),  # nothing to do
        ([(step, 1) for step in range(20)], False),  # at work
        ([(7, 1)] * 5 + [(8, 1)] * 5, False),  # slow steps
        ([(7, 1), (7, 0)] * 20, False),  # what it got was taken back before a step could end
        ([(7, 1), (7, 1), (7, 0)] * 6, True),  # callers give up and come again, in vain
        ([(7, 1)] * 5 + [(7, 0)] * 99 + [(7, 1)], False),  # an idle night between
        ([None] * 4, False),
        ([None] * 5, True),  # says nothing
        ([(7, 0)] + [None] * 5, True),
        ([None, (7, 0)] * 20, False),
    ],
)
def test_what_is_taken_for_a_hang(seconds: list[Told], hung: bool) -> None:
    """Work without progress, or silence, of five seconds."""
    assert is_hung(5.0, *seconds) == hung


def test_it_says_why() -> None:
    """How long, and how many waited for it."""
    stalled = verdicts(2.0, *[(7, 1)] * 3)[-1]
    assert stalled == "made no progress for 2 s while 1 request was waiting"
    stalled = verdicts(2.0, *[(7, 3)] * 3)[-1]
    assert stalled == "made no progress for 2 s while 3 requests were waiting"
    assert verdicts(4.0, *[None] * 4)[-1] == "has not been heard of for 4 s"


def test_zero_is_never() -> None:
    """HANG_TIMEOUT_S=0."""
    assert not is_hung(0.0, *[(7, 1)] * 99)
    assert not is_hung(0.0, *[None] * 99)


def test_a_late_message_is_no_silence() -> None:
    """However short the time is that is set."""
    assert not is_hung(0.5, None, None)
    assert is_hung(0.5, None, None, None)


def test_who_was_away_has_heard_nothing() -> None:
    """No silence of that time counts, nor as time without progress what was told late."""
    watch = HangWatch(5.0, 0.0)
    watch.told(EngineStats(steps=7, pending=1), 1.0)
    watch.was_away(1000.0)
    assert watch.verdict(1000.0) is None
    watch.told(EngineStats(steps=7, pending=1), 2000.0)
    assert watch.verdict(2000.0) is None
    for now in (2001.0, 2002.0):
        watch.told(EngineStats(steps=7, pending=1), now)
    assert watch.verdict(2002.0) is not None
