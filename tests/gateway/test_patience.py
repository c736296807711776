"""Tests of `tricorn.gateway.http.patience`, by a clock of their own."""

from __future__ import annotations

import pytest

from tricorn.gateway.http.patience import MAX_HEAD_BYTES, Arrival, HeadTooLarge, Patience, TooSlow
from tricorn.settings.config import Settings

PATIENCE = Patience(head_s=10, body_s=20, send_s=30, idle_s=40, rate=100)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def arrival(clock: Clock) -> Arrival:
    return Arrival(PATIENCE, clock)


def test_a_head_has_its_time(arrival: Arrival, clock: Clock) -> None:
    """However many bytes of it come."""
    clock.now += 9
    arrival.took(500)
    assert arrival.left_s() == 1
    clock.now += 1
    with pytest.raises(TooSlow, match="no head"):
        arrival.left_s()


def test_an_idle_connection_becomes_a_head(arrival: Arrival, clock: Clock) -> None:
    """With the first byte, and with a time of its own."""
    arrival.idle()
    assert arrival.left_s() == 40
    clock.now += 39
    arrival.took(1)
    assert (arrival.phase, arrival.came, arrival.left_s()) == ("head", 1, 10)


def test_an_idle_connection_ends(arrival: Arrival, clock: Clock) -> None:
    arrival.idle()
    clock.now += 40
    with pytest.raises(TooSlow, match="no request"):
        arrival.left_s()


def test_a_body_earns_time(arrival: Arrival, clock: Clock) -> None:
    """By its bytes, which have to keep the rate."""
    late: list[bool] = []
    arrival.body(lambda: late.append(True))
    arrival.took(1000)
    clock.now += 29
    assert arrival.left_s() == 1
    clock.now += 2
    with pytest.raises(TooSlow, match="no body"):
        arrival.left_s()
    assert late == [True]


def test_what_is_not_wanted_earns_nothing(arrival: Arrival, clock: Clock) -> None:
    arrival.leftovers()
    arrival.took(10_000_000)
    assert arrival.left_s() == 20
    clock.now += 20
    with pytest.raises(TooSlow):
        arrival.left_s()


def test_a_head_without_an_end(arrival: Arrival) -> None:
    """It is refused, however quick it comes."""
    for _ in range(MAX_HEAD_BYTES // 8192):
        arrival.took(8192)
    with pytest.raises(HeadTooLarge):
        arrival.took(1)


def test_what_is_sent_earns_time() -> None:
    assert PATIENCE.to_send(1000) == 40


def test_the_settings_say_it() -> None:
    """And the defaults of both are the same."""
    settings = Settings(
        header_timeout_s=1, body_timeout_s=2, send_timeout_s=3, keepalive_timeout_s=4,
        min_transfer_rate=5,
    )  # fmt: skip
    assert Patience.of(settings) == Patience(1, 2, 3, 4, 5)
    assert Patience.of(Settings()) == Patience()
