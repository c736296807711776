"""Tests of `tricorn.access.bucket`."""

from __future__ import annotations

import pytest
from tests.access.clock import Clock

from tricorn.access.bucket import Bucket


def test_it_gives_exactly_what_it_may() -> None:
    """Full at first; then one each so often, to the second."""
    clock = Clock()
    bucket = Bucket(60, clock)
    for _ in range(60):
        assert bucket.wait_s(1) == 0
        bucket.take(1)
    assert bucket.wait_s(1) == pytest.approx(1)
    clock.now += 0.75
    assert bucket.wait_s(1) == pytest.approx(0.25)
    clock.now += 0.25
    assert bucket.wait_s(1) == 0
    bucket.take(1)
    assert bucket.remaining() == 0
    clock.now += 3600
    assert bucket.remaining() == 60
    assert bucket.is_full()


def test_thirds_add_up() -> None:
    """Of 3 a minute one comes after 20 s, however the numbers round."""
    clock = Clock()
    bucket = Bucket(3, clock)
    bucket.take(3)
    for _ in range(20):
        clock.now += 1
        bucket.level()
    assert bucket.wait_s(1) == 0
    assert bucket.remaining() == 1


def test_debts_are_made_up_for() -> None:
    """What turned out larger delays the next; what turned out smaller comes back, and no more."""
    clock = Clock()
    bucket = Bucket(60, clock)
    bucket.take(90)
    assert bucket.remaining() == 0
    assert bucket.wait_s(1) == pytest.approx(31)
    bucket.take(-1000)
    assert bucket.level() == 60


def test_what_it_cannot_hold_waits_for_all_that_it_can() -> None:
    """Otherwise it would wait for ever."""
    clock = Clock()
    bucket = Bucket(60, clock)
    assert bucket.wait_s(1000) == 0
    bucket.take(1)
    assert bucket.wait_s(1000) == pytest.approx(1)


def test_another_size_forgives_nothing() -> None:
    """What has been taken stays taken."""
    bucket = Bucket(10, Clock())
    bucket.take(10)
    bucket.resize(15)
    assert bucket.remaining() == 5
    bucket.resize(5)
    assert bucket.level() == -5
