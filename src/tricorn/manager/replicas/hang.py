"""Whether an engine hangs: has work and does not get on with it. Pure: times are given.

An engine worker tells its figures every second. Two things count against it:

* Its engine has work and `steps` does not grow. Only the time that it was told to have work counts,
  summed up until it gets on: callers who give up and ask again don't start the clock anew, and an
  idle night is no hang. A slow reader at the other end of a stream is none either: engines don't
  wait for readers. What happens before a request is the engine's (templates, grammars, adapters) is
  not told as work.
* It says nothing at all: its process is stopped, or its event loop is stuck.
"""

from __future__ import annotations

from tricorn.engines.base import EngineStats

TOLD_EVERY_S = 1.0
"""How often a worker tells its figures."""
LONGEST_GAP_S = 3.0 * TOLD_EVERY_S
"""Figures count for no longer time than this, if the next ones are late."""


class HangWatch:
    """Of one engine that serves. timeout_s: 0: nothing is a hang."""

    def __init__(self, timeout_s: float, now: float) -> None:
        self._timeout_s = timeout_s
        # A shorter silence is only a late message.
        self._silence_s = max(timeout_s, LONGEST_GAP_S)
        self._heard = now
        self._stats = EngineStats()
        self._stalled_s = 0.0

    def told(self, stats: EngineStats, now: float) -> None:
        """The engine's figures have come."""
        if stats.steps != self._stats.steps:
            self._stalled_s = 0.0
        elif stats.pending and self._stats.pending:
            self._stalled_s += min(now - self._heard, LONGEST_GAP_S)
        self._stats, self._heard = stats, now

    def was_away(self, now: float) -> None:
        """Who should have listened did not: what was not heard until now counts for nothing."""
        self._heard = now

    def verdict(self, now: float) -> str | None:
        """Why it is taken to hang, as what follows "it"; None where it isn't."""
        if not self._timeout_s:
            return None
        if self._stalled_s >= self._timeout_s:
            count = self._stats.pending
            requests = "1 request was" if count == 1 else f"{count} requests were"
            return f"made no progress for {self._stalled_s:.0f} s while {requests} waiting"
        if now - self._heard >= self._silence_s:
            return f"has not been heard of for {now - self._heard:.0f} s"
        return None
