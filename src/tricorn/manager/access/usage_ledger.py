"""What each key has used, for its budgets and for its bill.

This month's sums are in memory, so that asking never waits; what is added is written behind, about
a second later, and the rest when the manager ends. A crash may lose the last second. While the
store fails, nothing is lost: what was there is read, and what came is written, once it works again.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable

import structlog

from tricorn.errors import StorageUnavailable
from tricorn.storage.keys import KeyStore, UsageRow, day

WRITE_BEHIND_S = 1.0
RETRY_S = 10.0

log = structlog.get_logger(part="manager")

_Place = tuple[str, str, str]
"""Day, key id, model."""


class UsageLedger:
    """On the manager's event loop. store: None: nothing is kept. Blocks once: it reads a month."""

    def __init__(
        self, store: KeyStore | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self._store = store
        self._clock = clock
        self._tokens: dict[str, dict[str, int]] = defaultdict(dict)
        """By key id: each day's, of this month."""
        self._pending: dict[_Place, list[int]] = {}
        self._used: dict[str, float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Task[None] | None = None
        self._begun = store is None
        """What was before this start is known."""
        try:
            self._begin_with(self._before())
        except StorageUnavailable as error:
            log.error("usage cannot be read; budgets begin without it", error=error.message)

    def spent(self, key_id: str) -> tuple[int, int]:
        """Tokens of this day, and of this month."""
        today = day(self._clock())
        days = self._tokens.get(key_id, {})
        month = sum(tokens for one, tokens in days.items() if one[:7] == today[:7])
        return days.get(today, 0), month

    def add(
        self, key_id: str, model: str, requests: int, prompt_tokens: int, completion_tokens: int
    ) -> None:
        """It has just ended."""
        now = self._clock()
        today = day(now)
        days = self._tokens[key_id]
        if today not in days:
            for old in [one for one in days if one[:7] != today[:7]]:
                del days[old]
        days[today] = days.get(today, 0) + prompt_tokens + completion_tokens
        counts = self._pending.setdefault((today, key_id, model), [0, 0, 0])
        for at, count in enumerate((requests, prompt_tokens, completion_tokens)):
            counts[at] += count
        if key_id:
            self._used[key_id] = now
        self._write_in(WRITE_BEHIND_S)

    async def close(self) -> None:
        """Write what is not written yet."""
        if self._timer is not None:
            self._timer.cancel()
        if self._writing is not None:
            await self._writing
        if self._pending and self._store is not None:
            await self._write()
        if self._timer is not None:
            self._timer.cancel()
        if self._store is not None:
            self._store.close()

    def _before(self) -> list[UsageRow]:
        """This month's usage, as it is stored. StorageUnavailable."""
        return [] if self._store is None else self._store.usage(since=day(self._clock())[:7])

    def _begin_with(self, rows: list[UsageRow]) -> None:
        """Before anything of this manager's is stored."""
        self._begun = True
        for row in rows:
            days = self._tokens[row.key]
            days[row.day] = days.get(row.day, 0) + row.prompt_tokens + row.completion_tokens

    def _write_in(self, seconds: float) -> None:
        if self._store is not None and self._timer is None and self._writing is None:
            self._timer = asyncio.get_running_loop().call_later(seconds, self._begin)

    def _begin(self) -> None:
        self._timer = None
        self._writing = asyncio.get_running_loop().create_task(self._write())

    async def _write(self) -> None:
        assert self._store is not None
        pending, self._pending = self._pending, {}
        used, self._used = self._used, {}
        rows = [UsageRow(*place, *counts) for place, counts in pending.items()]
        written = False
        try:
            if not self._begun:
                self._begin_with(await asyncio.to_thread(self._before))
            await asyncio.to_thread(self._store.add, rows, used)
            written = True
        except StorageUnavailable as error:
            log.warning("usage cannot be written; trying again", error=error.message)
        finally:
            self._writing = None
            if not written:
                self._put_back(pending, used)
        if self._pending:
            self._write_in(WRITE_BEHIND_S if written else RETRY_S)

    def _put_back(self, pending: dict[_Place, list[int]], used: dict[str, float]) -> None:
        """They were not written; others have come since."""
        for place, counts in pending.items():
            now = self._pending.setdefault(place, [0, 0, 0])
            for at, count in enumerate(counts):
                now[at] += count
        self._used = used | self._used
