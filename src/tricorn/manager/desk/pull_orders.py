"""Orders about downloads."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any, Protocol, cast

import msgspec

from tricorn.errors import ModelNotFound
from tricorn.manager.desk.orders import Command, Result, Tell


class Pulls(Protocol):
    """What is needed of `downloads.Downloads`."""

    def start(self, name: str, *, param: str | None = None) -> dict[str, Any]: ...

    def follow(
        self, name: str, *, keep: bool = True, param: str | None = None
    ) -> AsyncIterator[dict[str, Any]]: ...

    async def cancel(self, name: str) -> bool: ...

    def state(self, name: str) -> dict[str, Any] | None: ...

    def listing(self) -> list[dict[str, Any]]: ...


class Pull(msgspec.Struct, forbid_unknown_fields=True):
    model: str
    wait: bool = True
    keep: bool = False
    """It goes on when nobody waits for it any more."""


class Which(msgspec.Struct, forbid_unknown_fields=True):
    model: str


class Nothing(msgspec.Struct, forbid_unknown_fields=True):
    pass


class PullOrders:
    def __init__(self, pulls: Pulls) -> None:
        self._pulls = pulls

    def commands(self) -> dict[str, Command[Any]]:
        return {
            "pull": Command(Pull, self.pull),
            "pull.cancel": Command(Which, self.cancel),
            "pull.state": Command(Which, self.state),
            "pulls": Command(Nothing, self.all),
        }

    async def pull(self, order: Pull, tell: Tell) -> Result:
        """Its state when it is done; without `wait` at once."""
        if not order.wait:
            return self._pulls.start(order.model, param="model")
        state: Result = {}
        following = self._pulls.follow(order.model, keep=order.keep, param="model")
        async with aclosing(cast(Any, following)) as states:
            async for state in states:
                tell(state["state"], state["share"], state["eta_s"], state)
        return state

    async def cancel(self, order: Which, tell: Tell) -> Result:
        if not await self._pulls.cancel(order.model):
            raise ModelNotFound(f"No download of '{order.model}' is running.", param="model")
        return {"object": "model.download", "name": order.model, "cancelled": True}

    async def state(self, order: Which, tell: Tell) -> Result:
        state = self._pulls.state(order.model)
        if state is None:
            raise ModelNotFound(f"There was no download of '{order.model}'.", param="model")
        return state

    async def all(self, order: Nothing, tell: Tell) -> Result:
        return {"object": "list", "data": self._pulls.listing()}
