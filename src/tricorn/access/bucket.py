"""A token bucket: so much a minute, and at most so much at once. Exact, with a clock that is given.

Its level may fall below zero: what turned out larger than it was taken for is owed, and the next
ones wait until it is made up for.
"""

from __future__ import annotations

from collections.abc import Callable

MINUTE_S = 60.0
ROUNDING = 1e-6
"""A level that is short by less pays too: after 20 s a third of a minute's 3 is 1."""


class Bucket:
    """Full at first. per_minute: over 0; also what it holds. clock: seconds, never backwards."""

    def __init__(self, per_minute: int, clock: Callable[[], float]) -> None:
        self.per_minute = per_minute
        self._clock = clock
        self._level = float(per_minute)
        self._at = clock()

    def resize(self, per_minute: int) -> None:
        """From now on so much. What has been taken stays taken."""
        if per_minute != self.per_minute:
            self._level = self.level() + per_minute - self.per_minute
            self.per_minute = per_minute

    def level(self) -> float:
        """What is in it now; below 0: what is owed."""
        now = self._clock()
        gained = (now - self._at) * self.per_minute / MINUTE_S
        self._level = min(float(self.per_minute), self._level + gained)
        self._at = now
        return self._level

    def wait_s(self, amount: float) -> float:
        """Seconds until `amount` can be taken; 0: now. Of what it cannot hold, all it can."""
        missing = min(amount, self.per_minute) - self.level()
        return max(0.0, missing * MINUTE_S / self.per_minute) if missing > ROUNDING else 0.0

    def take(self, amount: float) -> None:
        """Without a look at whether it is there; below 0 gives back."""
        self._level = min(float(self.per_minute), self.level() - amount)

    def remaining(self) -> int:
        return max(0, int(self.level() + ROUNDING))

    def full_in_s(self) -> float:
        return max(0.0, (self.per_minute - self.level()) * MINUTE_S / self.per_minute)

    def is_full(self) -> bool:
        return self.full_in_s() <= 0.0
