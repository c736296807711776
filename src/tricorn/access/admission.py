"""Admits requests by the allowances of their keys. Pure, with clocks that are given.

What a request will take of tokens is known when it has ended. So what it may take is reserved when
it comes (`admit`), and what it did take is settled then (`settle`): in between nobody else can have
it. A request that may take more than a whole minute's waits for a full bucket.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass, field

from tricorn.access.bucket import Bucket
from tricorn.access.rate import Rate
from tricorn.access.terms import Allowance
from tricorn.errors import QuotaExceeded, RateLimitExceeded

MOST_IDLE = 10_000
"""Keys that are remembered though nothing of them runs; those with full buckets are forgotten."""

Spent = Callable[[str], tuple[int, int]]
"""A key's tokens of this day and of this month, those of requests that have ended."""


def _nothing(key_id: str) -> tuple[int, int]:
    return 0, 0


@dataclass(eq=False)
class Ticket:
    """A request that was admitted. Settled or cancelled once, whatever becomes of it."""

    key_id: str
    reserved: int


@dataclass(eq=False)
class _Account:
    """What one key uses now."""

    requests: Bucket | None = None
    tokens: Bucket | None = None
    running: int = 0
    reserved: int = 0
    tickets: set[Ticket] = field(default_factory=set)

    def is_forgettable(self) -> bool:
        buckets = (self.requests, self.tokens)
        return not self.running and all(one is None or one.is_full() for one in buckets)


class Admission:
    """clock: monotonic seconds; wall: Unix seconds, by which days and months begin (UTC)."""

    def __init__(
        self,
        clock: Callable[[], float],
        wall: Callable[[], float],
        spent: Spent = _nothing,
    ) -> None:
        self._clock = clock
        self._wall = wall
        self._spent = spent
        self._accounts: dict[str, _Account] = {}

    def admit(self, key_id: str, allowance: Allowance, reserve: int, *, again: bool) -> Ticket:
        """reserve: tokens that it may take. again: a request that was admitted before, and is tried
        once more by us: it counts once. RateLimitExceeded, QuotaExceeded: it has taken nothing."""
        account = self._account(key_id, allowance)
        limit = allowance.concurrent_requests
        if limit is not None and account.running >= limit:
            text = f"This key may have {limit} requests running at the same time, and has."
            raise self._told(account, text, 1.0)
        bucket = account.requests
        if bucket is not None and not again and (wait_s := bucket.wait_s(1)):
            text = f"This key may make {bucket.per_minute} requests per minute, and has."
            raise self._told(account, text, wait_s)
        if account.tokens is not None and (wait_s := account.tokens.wait_s(reserve)):
            text = (
                f"This key may use {account.tokens.per_minute} tokens per minute, and too few of "
                f"them are left for this request, which may take {reserve}."
            )
            raise self._told(account, text, wait_s)
        self._check_budgets(key_id, allowance, account)
        if bucket is not None and not again:
            bucket.take(1)
        if account.tokens is not None:
            reserve = min(reserve, account.tokens.per_minute)
            account.tokens.take(reserve)
        account.running += 1
        account.reserved += reserve
        ticket = Ticket(key_id, reserve)
        account.tickets.add(ticket)
        return ticket

    def settle(self, ticket: Ticket, tokens: int) -> None:
        """It has ended. tokens: that it took."""
        account = self._accounts.get(ticket.key_id)
        if account is None or ticket not in account.tickets:
            return
        account.tickets.discard(ticket)
        account.running -= 1
        account.reserved -= ticket.reserved
        if account.tokens is not None:
            account.tokens.take(tokens - ticket.reserved)

    def cancel(self, ticket: Ticket) -> None:
        """It came to nothing. That it was made still counts."""
        self.settle(ticket, 0)

    def rate(self, key_id: str) -> Rate | None:
        """Of a key that has made requests; None where no such limit is its."""
        account = self._accounts.get(key_id)
        return None if account is None else _rate(account)

    def _account(self, key_id: str, allowance: Allowance) -> _Account:
        account = self._accounts.get(key_id)
        if account is None:
            if len(self._accounts) >= MOST_IDLE:
                self._forget()
            account = self._accounts[key_id] = _Account()
        account.requests = self._sized(account.requests, allowance.requests_per_minute)
        account.tokens = self._sized(account.tokens, allowance.tokens_per_minute)
        return account

    def _forget(self) -> None:
        for key_id in [one for one, of in self._accounts.items() if of.is_forgettable()]:
            del self._accounts[key_id]

    def _sized(self, bucket: Bucket | None, per_minute: int | None) -> Bucket | None:
        if per_minute is None:
            return None
        if bucket is None:
            return Bucket(per_minute, self._clock)
        bucket.resize(per_minute)
        return bucket

    def _check_budgets(self, key_id: str, allowance: Allowance, account: _Account) -> None:
        if allowance.daily_tokens is None and allowance.monthly_tokens is None:
            return
        today, month = self._spent(key_id)
        now = datetime.datetime.fromtimestamp(self._wall(), datetime.UTC)
        for budget, spent, of, until in (
            (allowance.monthly_tokens, month, "month", _next_month),
            (allowance.daily_tokens, today, "day", _tomorrow),
        ):
            if budget is not None and spent + account.reserved >= budget:
                error = QuotaExceeded(
                    f"This key may use {budget} tokens a {of}, and has used {spent}; requests that "
                    f"run have reserved {account.reserved}.",
                    retry_after_s=1.0
                    if spent < budget
                    else (until(now.date()) - now).total_seconds(),
                )
                error.rate = _rate(account)
                raise error

    def _told(self, account: _Account, text: str, wait_s: float) -> RateLimitExceeded:
        error = RateLimitExceeded(f"{text} Try again in {wait_s:.3g} s.", retry_after_s=wait_s)
        error.rate = _rate(account)
        return error


def _rate(account: _Account) -> Rate | None:
    requests, tokens = account.requests, account.tokens
    if requests is None and tokens is None:
        return None
    return Rate(
        None if requests is None else requests.per_minute,
        0 if requests is None else requests.remaining(),
        0.0 if requests is None else requests.full_in_s(),
        None if tokens is None else tokens.per_minute,
        0 if tokens is None else tokens.remaining(),
        0.0 if tokens is None else tokens.full_in_s(),
    )


def _midnight(day: datetime.date) -> datetime.datetime:
    return datetime.datetime.combine(day, datetime.time(), datetime.UTC)


def _tomorrow(day: datetime.date) -> datetime.datetime:
    return _midnight(day + datetime.timedelta(days=1))


def _next_month(day: datetime.date) -> datetime.datetime:
    return _midnight((day.replace(day=1) + datetime.timedelta(days=32)).replace(day=1))
