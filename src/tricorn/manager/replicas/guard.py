"""What is found out about a replica by looking at it now and then: it hangs, or is of no use. Pure.

Beside the watch for hangs (`hang`), one that was not used for long is tried with one token, a
canary. Requests that come meanwhile are served beside it.

Who looks may have been away itself (a suspended machine, a stopped manager): the clocks start anew.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tricorn.engines.base import EngineStats
from tricorn.errors import ErrorInfo
from tricorn.manager.replicas.hang import HangWatch

TICK_S = 1.0
AWAY_S = 3.0
"""Nothing else keeps the manager from looking for so long."""
ANSWER_S = 30.0
"""What a canary has, where hangs are not looked for."""


@dataclass(frozen=True)
class Supervision:
    """The settings of the same names."""

    canary_interval_s: float = 0.0
    hang_timeout_s: float = 0.0


UNSUPERVISED = Supervision()


class Guard:
    """Of one replica while it serves. Times are in seconds on any one clock."""

    def __init__(self, supervision: Supervision, now: float, ask: Callable[[], None]) -> None:
        """ask: sends the canary, which is answered by `sang`."""
        interval_s, timeout_s = supervision.canary_interval_s, supervision.hang_timeout_s
        self.tick_s = min([TICK_S, *(span / 2 for span in (interval_s, timeout_s) if span)])
        """Between one `look` and the next."""
        self._interval_s = interval_s
        self._answer_s = timeout_s or ANSWER_S
        self._hang = HangWatch(timeout_s, now)
        self._ask = ask
        self._looked = self._used = now
        self._asked: float | None = None
        """When a canary was sent that has not been answered."""
        self._steps = 0
        self._fault: str | None = None

    def told(self, stats: EngineStats, now: float) -> None:
        """The engine's figures have come."""
        self._hang.told(stats, now)
        if stats.steps != self._steps:
            self._steps, self._used = stats.steps, now
            if self._asked is not None:
                self._asked = now  # it works on others first

    def sang(self, error: ErrorInfo | None) -> None:
        """The canary's answer."""
        self._asked = None
        if error is not None:
            self._fault = f"was tried with one token while it was idle, and failed: {error.message}"

    def look(self, now: float, *, idle: bool) -> str | None:
        """Why it has to be replaced, as what follows "it"; None where it hasn't.

        idle: it is ready, and nobody has a lease of it.
        """
        if now - self._looked > AWAY_S:
            self._hang.was_away(now)
            self._used = now
            self._asked = None if self._asked is None else now
        self._looked = now
        if not idle:
            self._used = now
        if self._asked is not None and now - self._asked >= self._answer_s:
            waited = now - self._asked
            return f"was tried with one token while it was idle, and gave none in {waited:.0f} s"
        if self._asked is None and self._interval_s and now - self._used >= self._interval_s:
            self._asked = self._used = now
            self._ask()
        return self._fault or self._hang.verdict(now)
