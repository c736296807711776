"""Tests of `tricorn.access.throttle`."""

from __future__ import annotations

import pytest
from tests.access.clock import Clock

from tricorn.access import throttle
from tricorn.access.throttle import Throttle


def test_failures_by_address() -> None:
    """So many a minute, then a wait; others are not concerned."""
    clock = Clock()
    found = Throttle(clock, per_minute=3)
    for _ in range(3):
        assert found.wait_s("a") == 0
        found.failed("a")
    assert found.wait_s("a") == pytest.approx(20)
    assert found.wait_s("b") == 0
    clock.now += 20
    assert found.wait_s("a") == 0


@pytest.mark.parametrize(
    ("address", "known_as"),
    [
        ("1.2.3.4", "1.2.3.4"),
        ("::ffff:1.2.3.4", "1.2.3.4"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("local:x", "local:x"),
        ("", ""),
    ],
)
def test_one_guesser_is_one(address: str, known_as: str) -> None:
    """However many addresses of a network he has."""
    found = Throttle(Clock(), per_minute=1)
    found.failed(address)
    assert list(found._failing) == [known_as]
    assert found.wait_s(address) > 0


def test_little_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """What has been made up for, and what is too much, is forgotten; the oldest first."""
    monkeypatch.setattr(throttle, "MOST_ADDRESSES", 2)
    clock = Clock()
    found = Throttle(clock, per_minute=1)
    for address in ("a", "b", "c"):
        found.failed(address)
    assert list(found._failing) == ["b", "c"]
    clock.now += 61
    found.failed("d")
    assert list(found._failing) == ["d"]
