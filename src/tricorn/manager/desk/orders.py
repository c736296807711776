"""Orders: what a gateway asks of the manager beside leases, each answered by `Told` or `Refused`.

A command is a small asynchronous function with typed arguments. Its task ends with the answer, by
`Withdraw`, or with the connection that the order came by; nobody is told of a withdrawn one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from tricorn import logs
from tricorn.errors import (
    InternalError,
    InvalidRequest,
    Overloaded,
    ShuttingDown,
    TricornError,
)
from tricorn.manager.protocol.calls import Order, Progress, Refused, Told

MAX_ORDERS = 1024
"""Of one connection at the same time."""

log = logs.get("orders")

ArgumentsT = TypeVar("ArgumentsT")

Result = dict[str, Any]


class Tell(Protocol):
    def __call__(
        self,
        text: str,
        share: float | None = None,
        eta_s: float | None = None,
        data: dict[str, Any] | None = None,
    ) -> None:
        """Tell of progress, as `Progress` has it."""


class Customer(Protocol):
    """A gateway's connection."""

    def answer(self, message: Told | Refused | Progress) -> None:
        """Must not block or raise."""


@dataclass(frozen=True)
class Command(Generic[ArgumentsT]):
    arguments: type[ArgumentsT]
    """A msgspec struct, into which an order's arguments are converted."""
    carry_out: Callable[[ArgumentsT, Tell], Awaitable[Result]]

    def begin(self, arguments: Mapping[str, Any], tell: Tell) -> Awaitable[Result]:
        """InvalidRequest where the arguments are not of their types."""
        try:
            taken = msgspec.convert(arguments, self.arguments)
        except msgspec.ValidationError as error:
            raise InvalidRequest(f"The order cannot be used: {error}.") from error
        return self.carry_out(taken, tell)


Commands = Mapping[str, Command[Any]]


class Orders:
    """Carries out the orders of all gateways. On the manager's event loop."""

    def __init__(self, commands: Commands) -> None:
        self._commands = commands
        self._running: dict[tuple[Customer, int], asyncio.Task[None]] = {}
        self._closed = False

    def take(self, customer: Customer, order: Order) -> None:
        """Begin; `customer.answer` is called later, at once only with a refusal."""
        if self._closed:
            refusal: TricornError = ShuttingDown("Tricorn is shutting down", retry_after_s=5)
        elif order.command not in self._commands:
            refusal = InvalidRequest(f"The manager knows no order {order.command!r}.")
        elif sum(1 for one, _ in self._running if one is customer) >= MAX_ORDERS:
            refusal = Overloaded("too many orders are being carried out", retry_after_s=1)
        else:
            task = asyncio.get_running_loop().create_task(
                self._carry_out(customer, order), name=f"order {order.command}"
            )
            self._running[customer, order.call] = task
            return
        customer.answer(Refused(order.call, refusal.info()))

    def withdraw(self, customer: Customer, call: int) -> None:
        """Nobody waits for it any more; nothing where there is no such order."""
        task = self._running.pop((customer, call), None)
        if task is not None:
            task.cancel()

    def drop(self, customer: Customer) -> None:
        """The connection has ended."""
        for one, call in [key for key in self._running if key[0] is customer]:
            self.withdraw(one, call)

    def close(self) -> None:
        """Take no more; end those that run."""
        self._closed = True
        for task in self._running.values():
            task.cancel()

    async def _carry_out(self, customer: Customer, order: Order) -> None:
        def tell(
            text: str,
            share: float | None = None,
            eta_s: float | None = None,
            data: dict[str, Any] | None = None,
        ) -> None:
            customer.answer(Progress(order.call, text, share, eta_s, data or {}))

        answer: Told | Refused
        try:
            command = self._commands[order.command]
            answer = Told(order.call, await command.begin(order.arguments, tell))
        except TricornError as error:
            answer = Refused(order.call, error.info())
        except asyncio.CancelledError:
            if not self._closed:
                raise
            stopped = ShuttingDown("Tricorn is shutting down", retry_after_s=5)
            answer = Refused(order.call, stopped.info())
        except Exception:  # one order must not end the connection that others wait at
            log.exception("an order failed", command=order.command)
            failed = InternalError(f"Tricorn's manager failed at the order {order.command!r}.")
            answer = Refused(order.call, failed.info())
        self._running.pop((customer, order.call), None)
        customer.answer(answer)
