"""Whether a model that failed is tried again, and when. Pure: times are given, chance is given.

Two things are counted. Failures in a row make the wait before the next try longer (`backoff`).
Failures within a window, in a row or not, are bounded: beyond that the model is given up, and is
not tried again before somebody asks for it (`clear`), or its files or settings have changed.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from tricorn.manager.replicas import backoff

STEADY_S = 60.0
"""One that was ready this long starts with a clean row when it crashes."""
JITTER = 0.25
"""The share of a wait that is left to chance, so that what failed together comes back apart."""


class Decision(NamedTuple):
    retry_at: float | None
    """Not before; on the clock of `now`. None: not by itself."""
    gave_up: bool
    failures: int
    """In a row, with this one."""


class RestartHistory:
    """The failures of one model, of all its replicas together."""

    def __init__(
        self,
        *,
        max_restarts: int,
        window_s: float,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """max_restarts: more failures than these within `window_s`, and it is given up; 0: by the
        first one. chance: from 0 to 1."""
        self._max_restarts = max_restarts
        self._window_s = window_s
        self._chance = chance
        self._row = 0
        self._last_was_load = False
        self._times: deque[float] = deque(maxlen=max_restarts + 1)

    def failed(self, now: float, *, loading: bool, was_ready_s: float = 0.0) -> Decision:
        """It has failed just now. loading: in its load; else after it was ready `was_ready_s`."""
        if not loading and (self._last_was_load or was_ready_s >= STEADY_S):
            self._row = 0
        self._row += 1
        self._last_was_load = loading
        self._times.append(now)
        within = sum(now - time <= self._window_s for time in self._times)
        if within > self._max_restarts:
            return Decision(None, True, self._row)
        policy = backoff.AFTER_LOAD_FAILURE if loading else backoff.AFTER_CRASH
        delay_s = policy.delay_s(self._row) * (1.0 - JITTER * self._chance())
        return Decision(now + delay_s, False, self._row)

    def ready(self) -> None:
        """A load has succeeded: if the last failure was one of a load, that row is over."""
        if self._last_was_load:
            self._row, self._last_was_load = 0, False

    def clear(self) -> None:
        """Forget all of it: somebody has asked for a new try, or has changed something."""
        self._row, self._last_was_load = 0, False
        self._times.clear()
