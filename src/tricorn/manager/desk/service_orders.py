"""Orders about Tricorn as a whole: its figures, its events, its settings."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from tricorn.errors import Conflict, InvalidRequest
from tricorn.manager.desk.events import Events
from tricorn.manager.desk.orders import Command, Result, Tell
from tricorn.manager.figures.system_figures import SystemFigures

Reload = Callable[[], Awaitable[Result]]
"""Reads the settings again and takes over what can be; tells as `Reloading.reload`."""


RestartGateway = Callable[[], Awaitable[Result]]
"""Tells as `GatewayKeeper.replace`, and of the settings as `Reloading.reload`."""


class Nothing(msgspec.Struct, forbid_unknown_fields=True):
    pass


class Recent(msgspec.Struct, forbid_unknown_fields=True):
    after: int
    """The number of the last event that is known."""


class ServiceOrders:
    def __init__(
        self,
        figures: SystemFigures,
        events: Events,
        reload: Reload,
        restart_gateway: RestartGateway | None = None,
    ) -> None:
        """restart_gateway: None where the gateway is not the manager's."""
        self._figures = figures
        self._events = events
        self._reload = reload
        self._restart_gateway = restart_gateway

    def commands(self) -> dict[str, Command[Any]]:
        return {
            "system": Command(Nothing, self.system),
            "events.recent": Command(Recent, self.recent),
            "reload": Command(Nothing, self.reload),
            "gateway.restart": Command(Nothing, self.restart_gateway),
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

    async def restart_gateway(self, order: Nothing, tell: Tell) -> Result:
        """Once the new gateway serves. It is done even if nobody waits for it any more."""
        if self._restart_gateway is None:
            raise Conflict(
                "This gateway was started apart from its manager: stop and start it by hand."
            )
        told = await asyncio.shield(self._restart_gateway())
        return {"object": "gateway.restart", **told}
