"""A gateway that gives orders at a manager's desk, for tests that are coroutines."""

from __future__ import annotations

import asyncio
import functools
import itertools
from collections.abc import Awaitable, Callable
from typing import Any, cast

from tests.manager.harness import WAIT_S, Manager

from tricorn.errors import TricornError, from_info
from tricorn.manager.desk.orders import Orders
from tricorn.manager.protocol.calls import Order, Progress, Refused, Told


def on_loop(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """A test that is a coroutine."""

    @functools.wraps(test)
    def run(*arguments: Any, **named: Any) -> None:
        asyncio.run(cast(Any, test(*arguments, **named)))

    return run


class Customer:
    """A gateway's connection."""

    def __init__(self, orders: Orders) -> None:
        self.orders = orders
        self.numbers = itertools.count(1)
        self.answers: dict[int, asyncio.Future[Told | Refused]] = {}
        self.progress: list[Progress] = []
        self.told = asyncio.Event()

    def answer(self, message: Told | Refused | Progress) -> None:
        if isinstance(message, Progress):
            self.progress.append(message)
            self.told.set()
        else:
            self.answers[message.call].set_result(message)

    def give(self, command: str, **arguments: Any) -> int:
        call = next(self.numbers)
        self.answers[call] = asyncio.get_running_loop().create_future()
        self.orders.take(self, Order(call, command, arguments))
        return call

    async def order(self, command: str, **arguments: Any) -> dict[str, Any]:
        """The answer, or the refusal raised."""
        message = await asyncio.wait_for(self.answers[self.give(command, **arguments)], WAIT_S)
        if isinstance(message, Refused):
            raise from_info(message.error)
        return message.result

    async def refusal(self, command: str, **arguments: Any) -> TricornError:
        try:
            await self.order(command, **arguments)
        except TricornError as error:
            return error
        raise AssertionError("it was carried out")


def customer_of(manager: Manager) -> Customer:
    return Customer(manager.desk.orders)
