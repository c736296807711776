"""How fast a download is, over the last seconds, and how long the rest will take."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

WINDOW_S = 10.0
LEAST_S = 0.5
"""Of less, a speed would be a guess."""


class Speed:
    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._steps: deque[tuple[float, int]] = deque()
        self._bytes = 0

    def add(self, count: int) -> None:
        """So many bytes have come. Time counts from the first of them."""
        now = self._clock()
        if not self._steps:
            self._steps.append((now, 0))
            return
        self._bytes += count
        self._steps.append((now, self._bytes))
        while len(self._steps) > 2 and self._steps[1][0] < now - WINDOW_S:
            self._steps.popleft()

    def per_second(self) -> float | None:
        """Bytes; None where it is too early to tell."""
        if not self._steps:
            return None
        since, before = self._steps[0]
        passed = self._clock() - since
        return (self._bytes - before) / passed if passed >= LEAST_S else None

    def remaining_s(self, left: int) -> float | None:
        """Seconds that so many bytes will take; None where nothing tells."""
        speed = self.per_second()
        return left / speed if speed else None
