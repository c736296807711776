"""When what happened to a request, on its gateway's clock."""

from __future__ import annotations

import time
from bisect import bisect_left

from tricorn.metrics.buckets import GAPS


class Timing:
    """asked → granted → tokens. Each is told when it happens; a second grant, after a lost engine,
    makes what waited before it part of the queue."""

    __slots__ = ("_asked", "_first", "_gap_from", "_granted", "_last", "gaps", "gaps_s")

    def __init__(self) -> None:
        self._asked: float | None = None
        self._granted: float | None = None
        self._first: float | None = None
        self._last = 0.0
        self._gap_from: float | None = None
        self.gaps: list[int] = []
        """As `EndedRequest.gaps`, …"""
        self.gaps_s = 0.0
        """… and `gaps_s`."""

    def asked(self) -> None:
        """For a replica."""
        self._asked = time.monotonic()

    def granted(self) -> None:
        self._granted = time.monotonic()

    def token(self, *, first_sequence: bool) -> None:
        """A step gave one or more."""
        now = self._last = time.monotonic()
        if self._first is None:
            self._first = now
        if not first_sequence:
            return
        if self._gap_from is not None:
            if not self.gaps:
                self.gaps = [0] * (len(GAPS) + 1)
            gap = now - self._gap_from
            self.gaps[bisect_left(GAPS, gap)] += 1
            self.gaps_s += gap
        self._gap_from = now

    @property
    def granted_at(self) -> float | None:
        """By `time.monotonic`, as …"""
        return self._granted

    @property
    def first_at(self) -> float | None:
        """… when the first token came, …"""
        return self._first

    @property
    def last_at(self) -> float | None:
        """… and the last one so far."""
        return None if self._first is None else self._last

    def seconds(self, began: float) -> dict[str, float]:
        """What is known of queue_s, prefill_s, ttft_s, decode_s. began: when the request came."""
        found = {}
        if self._asked is not None and self._granted is not None:
            found["queue_s"] = self._granted - self._asked
        if self._first is not None:
            found["ttft_s"] = self._first - began
            found["decode_s"] = self._last - self._first
            if self._granted is not None:
                found["prefill_s"] = max(0.0, self._first - self._granted)
        return found
