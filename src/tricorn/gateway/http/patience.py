"""How long a client may take for its part of a request, so that slow ones hold up nobody else.

    idle  ──first byte──►  head  ──►  body  ──►  (the answer)  ──►  idle
    KEEPALIVE_TIMEOUT_S    HEADER_      BODY_TIMEOUT_S, and a second more
                           TIMEOUT_S    for each MIN_TRANSFER_RATE bytes

A connection begins with a head. No timers run: a connection that has to wait does so until the end
of its phase, and no longer.
"""

from __future__ import annotations

import errno
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from tricorn.settings.config import Settings

MAX_HEAD_BYTES = 128 * 1024
"""Of a request's head, however many lines it has."""

Phase = Literal["idle", "head", "body"]


class TooSlow(ConnectionResetError):
    """The client's time is over. One of the errors that gunicorn ends a connection for quietly."""

    def __init__(self, what: str) -> None:
        super().__init__(errno.ECONNRESET, what)


class HeadTooLarge(ValueError):
    """A request's head never ends."""


@dataclass(frozen=True)
class Patience:
    """Seconds, and bytes a second."""

    head_s: float = 30.0
    body_s: float = 30.0
    send_s: float = 60.0
    idle_s: float = 75.0
    rate: int = 8192

    @classmethod
    def of(cls, settings: Settings) -> Patience:
        return cls(
            settings.header_timeout_s,
            settings.body_timeout_s,
            settings.send_timeout_s,
            settings.keepalive_timeout_s,
            settings.min_transfer_rate,
        )

    def to_send(self, size: int) -> float:
        """Seconds that `size` bytes may take."""
        return self.send_s + size / self.rate


class Arrival:
    """What has come of a request, and until when more has to. `clock` as `time.monotonic`."""

    __slots__ = ("_clock", "_on_late", "_patience", "_rate", "_until", "came", "phase")

    def __init__(self, patience: Patience, clock: Callable[[], float]) -> None:
        self._patience = patience
        self._clock = clock
        self._rate: float
        self._on_late: Callable[[], object] | None
        self.phase: Phase
        self.head()

    def idle(self) -> None:
        """The next request is waited for."""
        self._begin("idle", self._patience.idle_s)

    def head(self) -> None:
        """A request's head is to come."""
        self._begin("head", self._patience.head_s)

    def body(self, on_late: Callable[[], object]) -> None:
        """The head is there. on_late: called before TooSlow is raised."""
        self._begin("body", self._patience.body_s)
        self._rate, self._on_late = self._patience.rate, on_late

    def leftovers(self, seconds: float | None = None) -> None:
        """What comes is not wanted, and earns no more time. seconds: None: a body's."""
        self._begin("body", self._patience.body_s if seconds is None else seconds)

    def _begin(self, phase: Phase, seconds: float) -> None:
        self.phase = phase
        self.came = 0
        self._until = self._clock() + seconds
        self._rate = math.inf
        self._on_late = None

    def left_s(self) -> float:
        """Seconds; TooSlow where there are none."""
        left = self._until - self._clock()
        if left <= 0:
            raise self.late()
        return left

    def late(self) -> TooSlow:
        """To be raised."""
        if self._on_late is not None:
            self._on_late()
        return TooSlow(f"no {'request' if self.phase == 'idle' else self.phase} in time")

    def took(self, size: int) -> None:
        """So many bytes have come. HeadTooLarge."""
        if self.phase == "idle":
            self.head()
        self.came += size
        if self.phase == "body":
            self._until += size / self._rate
        elif self.came > MAX_HEAD_BYTES:
            raise HeadTooLarge
