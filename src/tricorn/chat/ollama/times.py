"""When things happened: dates as Ollama writes them, and how long each part of an answer took."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache


def now() -> str:
    """RFC 3339, with a fraction."""
    nanoseconds = time.time_ns()
    return f"{_second(nanoseconds // 10**9)}.{nanoseconds % 10**9 // 1000:06d}Z"


def date(seconds: int) -> str:
    """The same of Unix seconds."""
    return f"{_second(seconds)}.000000Z"


@lru_cache(maxsize=16)  # every chunk of every stream has the time of this very second
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


class Stopwatch:
    """All times are nanoseconds of the monotonic clock.

    began_ns: when the request came.
    """

    def __init__(self, began_ns: int, clock: Callable[[], int] = time.monotonic_ns) -> None:
        self._clock = clock
        self._began = self._loaded = self._taken = began_ns
        self._first: int | None = None

    def lease(self) -> None:
        """There is a model that works for this request; perhaps another one than before."""
        self._loaded = self._taken = self._clock()
        self._first = None

    def taken(self) -> None:
        """The engine has the prompt, as tokens."""
        self._taken = self._clock()

    def token(self) -> None:
        """There are tokens of the answer."""
        if self._first is None:
            self._first = self._clock()

    def total(self) -> int:
        return self._clock() - self._began

    def loaded(self) -> int:
        """What it took until the model was there for this request."""
        return self._loaded - self._began

    def evaluated(self) -> tuple[int, int]:
        """(until the first token, from there to now): waiting for a place in the batch is a part
        of the former, as the engine alone knows it."""
        now = self._clock()
        first = now if self._first is None else self._first
        return first - self._taken, now - first
