"""Orders about Tricorn as a whole: its figures, its events, its settings."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from tricorn.errors import InvalidRequest
from tricorn.manager.events import Events
from tricorn.manager.orders import Command, Result, Tell
from tricorn.manager.system_figures import SystemFigures

Reload = Callable[[], Awaitable[Result]]
"""Reads the settings again and takes over what can be; tells as `Reloading.reload`."""


class Nothing(msgspec.Struct, forbid_unknown_fields=True):
    pass


class Recent(msgspec.Struct, forbid_unknown_fields=True):
    after: int
    """The number of the last event that is known."""


class ServiceOrders:
    def __init__(self, figures: SystemFigures, events: Events, reload: Reload) -> None:
        self._figures = figures
        self._events = events
        self._reload = reload

    def commands(self) -> dict[str, Command[Any]]:
        return {
            "system": Command(Nothing, self.system),
            "events.recent": Command(Recent, self.recent),
            "reload": Command(Nothing, self.reload),
        }

    async def system(self, order: Nothing, tell: Tell) -> Result:
        return await asyncio.to_thread(self._figures.figures)

    async def recent(self, order: Recent, tell: Tell) -> Result:
        return {"events": [msgspec.to_builtins(one) for one in self._events.after(order.after)]}

    async def reload(self, order: Nothing, tell: Tell) -> Result:
        told = await self._reload()
        if told.get("errors"):
            raise InvalidRequest("; ".join(told["errors"]))
        return {"object": "reload", **told}
