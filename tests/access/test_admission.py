"""Tests of `tricorn.access.admission`."""

from __future__ import annotations

import datetime

import pytest
from tests.access.clock import Clock

from tricorn.access import admission
from tricorn.access.admission import Admission
from tricorn.access.rate import Rate
from tricorn.access.terms import Allowance
from tricorn.errors import QuotaExceeded, RateLimitExceeded

NOON = datetime.datetime(2026, 11, 30, 12, tzinfo=datetime.UTC).timestamp()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def gate(clock: Clock) -> Admission:
    return Admission(clock, Clock(NOON))


def admit(
    gate: Admission, allowance: Allowance, reserve: int = 0, *, key: str = "k", again: bool = False
) -> admission.Ticket:
    return gate.admit(key, allowance, reserve, again=again)


def test_requests_per_minute(gate: Admission, clock: Clock) -> None:
    """Exactly so many, by key; then 429, and when to come back."""
    two = Allowance(requests_per_minute=2)
    for left in (1, 0):
        gate.settle(admit(gate, two), 0)
        assert gate.rate("k") == Rate(2, left, 30.0 * (2 - left))
    with pytest.raises(RateLimitExceeded, match="2 requests per minute") as caught:
        admit(gate, two)
    assert caught.value.retry_after_s == pytest.approx(30)
    assert caught.value.rate == Rate(2, 0, 60.0)
    admit(gate, two, key="another")
    clock.now += 30
    admit(gate, two)


def test_a_retry_of_ours_counts_once(gate: Admission) -> None:
    """The caller has made one request."""
    one = Allowance(requests_per_minute=1)
    gate.settle(admit(gate, one), 0)
    admit(gate, one, again=True)


def test_tokens_are_reserved_and_settled(gate: Admission, clock: Clock) -> None:
    """What runs has what it may take; what it did not take comes back when it ends."""
    hundred = Allowance(tokens_per_minute=100)
    ticket = admit(gate, hundred, 80)
    with pytest.raises(RateLimitExceeded, match="may take 30") as caught:
        admit(gate, hundred, 30)
    assert caught.value.retry_after_s == pytest.approx(6)
    gate.settle(ticket, 10)
    rate = gate.rate("k")
    assert rate is not None
    assert (rate.limit_tokens, rate.remaining_tokens) == (100, 90)
    gate.settle(ticket, 10)
    assert gate.rate("k") == rate, "settled once"
    gate.settle(admit(gate, hundred, 30), 130)
    with pytest.raises(RateLimitExceeded):
        admit(gate, hundred, 0)
    clock.now += 24.1
    admit(gate, hundred, 0)


def test_a_request_larger_than_a_minute(gate: Admission) -> None:
    """It gets a full bucket, and no less."""
    ten = Allowance(tokens_per_minute=10)
    gate.cancel(admit(gate, ten, 1000))
    gate.settle(admit(gate, ten, 1), 1)
    with pytest.raises(RateLimitExceeded):
        admit(gate, ten, 1000)


def test_a_refusal_takes_nothing(gate: Admission) -> None:
    """Refused for its tokens, it counts as no request."""
    both = Allowance(requests_per_minute=2, tokens_per_minute=10)
    ticket = admit(gate, both, 10)
    with pytest.raises(RateLimitExceeded, match="tokens"):
        admit(gate, both, 10)
    gate.cancel(ticket)
    admit(gate, both, 10)


def test_at_the_same_time(gate: Admission) -> None:
    """So many run; one that ends makes room."""
    one = Allowance(concurrent_requests=1)
    ticket = admit(gate, one)
    with pytest.raises(RateLimitExceeded, match="running") as caught:
        admit(gate, one)
    assert caught.value.retry_after_s == 1
    gate.settle(ticket, 5)
    gate.cancel(admit(gate, one))
    admit(gate, one)


@pytest.mark.parametrize(
    ("allowance", "of", "retry_s"),
    [
        (Allowance(daily_tokens=100), "day", 12 * 3600),
        (Allowance(monthly_tokens=900), "month", 12 * 3600),
        (Allowance(daily_tokens=101), None, 0),
        (Allowance(monthly_tokens=901), None, 0),
    ],
)
def test_budgets(clock: Clock, allowance: Allowance, of: str | None, retry_s: float) -> None:
    """Until the day or the month ends, UTC."""
    gate = Admission(clock, Clock(NOON), lambda key: (100, 900))
    if of is None:
        admit(gate, allowance, 50)
        return
    with pytest.raises(QuotaExceeded, match=f"tokens a {of}") as caught:
        admit(gate, allowance)
    assert caught.value.retry_after_s == retry_s


def test_what_runs_counts_for_the_budget(clock: Clock) -> None:
    """Many at once cannot spend it many times; it is soon known what they took."""
    gate = Admission(clock, Clock(NOON))
    allowance = Allowance(daily_tokens=100)
    ticket = admit(gate, allowance, 100)
    with pytest.raises(QuotaExceeded) as caught:
        admit(gate, allowance, 1)
    assert caught.value.retry_after_s == 1
    gate.cancel(ticket)
    admit(gate, allowance, 1)


def test_changed_limits_hold_at_once(gate: Admission) -> None:
    """Also those that are gone."""
    gate.settle(admit(gate, Allowance(requests_per_minute=1)), 0)
    admit(gate, Allowance(requests_per_minute=2))
    admit(gate, Allowance())
    assert gate.rate("k") is None


def test_idle_keys_are_forgotten(
    gate: Admission, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But not those that have used something up, or that run."""
    monkeypatch.setattr(admission, "MOST_IDLE", 3)
    one = Allowance(requests_per_minute=1)
    admit(gate, one, key="runs")
    clock.now += 60
    gate.settle(admit(gate, one, key="used"), 0)
    gate.settle(admit(gate, Allowance(), key="idle"), 0)
    admit(gate, one, key="new")
    assert gate.rate("runs") is not None
    with pytest.raises(RateLimitExceeded):
        admit(gate, one, key="used")
    assert list(gate._accounts) == ["runs", "used", "new"]
