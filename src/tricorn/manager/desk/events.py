"""What happens to models: told to every gateway, kept a while for clients that come back."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from tricorn.manager.protocol.model_info import ModelInfo
from tricorn.manager.protocol.news import Event
from tricorn.manager.replicas.replica import Replica

STOPPING = "manager.stopping"
"""The last one: nobody need listen any longer."""
KEPT = 1000
"""Events that a client can have missed and still be told."""


class Events:
    """On the manager's event loop."""

    def __init__(self, kept: int = KEPT) -> None:
        self.publish: Callable[[Event], None] = lambda event: None
        """Called with each event."""
        # From the clock: the events of a manager come after those of the one before it, so that
        # clients can tell which they have seen.
        self._numbers = itertools.count(int(time.time() * 1000))
        self._ring: deque[Event] = deque(maxlen=kept)
        self._faults: dict[str, str | None] | None = None
        self._next: asyncio.Future[Event] = asyncio.get_running_loop().create_future()

    def emit(self, kind: str, model: str = "", **data: Any) -> None:
        event = Event(next(self._numbers), time.time(), kind, model, data)
        self._ring.append(event)
        self.publish(event)
        came, self._next = self._next, asyncio.get_running_loop().create_future()
        came.set_result(event)

    async def next(self) -> Event:
        """Wait for the next one."""
        return await asyncio.shield(self._next)

    def after(self, number: int) -> list[Event]:
        """Those that came after the one of that number, as far as they are kept."""
        return [event for event in self._ring if event.number > number]

    def replica_state(self, replica: Replica) -> None:
        """`Replica`'s on_state."""
        reason = replica.failure.message if replica.failure is not None else None
        self.emit(
            "replica.state",
            replica.spec.id,
            replica=replica.name,
            state=replica.state,
            reason=reason,
        )

    def listing(self, models: Iterable[ModelInfo]) -> None:
        """These are the models now; the first list is no news."""
        before, now = self._faults, {model.id: model.fault for model in models}
        self._faults = now
        if before is None or before == now:
            return
        for name in sorted(before.keys() - now.keys()):
            self.emit("model.gone", name)
        for name, fault in sorted(now.items()):
            if name not in before or before[name] != fault:
                self.emit("model.listed", name, fault=fault)
