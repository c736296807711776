"""What all gateways together have served since this manager started."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from tricorn.manager.protocol.usage import Usage

WINDOW_S = 60.0
"""Speeds are of the last so many seconds."""


class UsageTotals:
    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since = clock()
        self._recent: deque[tuple[float, Usage]] = deque()
        self.total = Usage(0, 0, 0.0, 0, 0)

    def add(self, usage: Usage) -> None:
        usage = usage.counts()
        self.total = self.total.plus(usage)
        self._recent.append((self._clock(), usage))

    def average_s(self) -> float | None:
        """Of all requests; None before the first."""
        return self.total.seconds / self.total.requests if self.total.requests else None

    def tokens_per_second(self) -> float:
        """Generated, over the last minute; requests count when they have ended."""
        now = self._clock()
        while self._recent and self._recent[0][0] < now - WINDOW_S:
            self._recent.popleft()
        tokens = sum(usage.completion_tokens for _, usage in self._recent)
        span = min(WINDOW_S, now - self._since)
        return tokens / span if tokens and span > 0 else 0.0

    def uptime_s(self) -> float:
        return self._clock() - self._since
