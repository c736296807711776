"""Tests of `manager.desk.orders`: how orders are taken, answered and ended, whatever they are."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
from tests.manager.customer import Customer, on_loop
from tests.manager.harness import WAIT_S

from tricorn.errors import Conflict, InternalError, InvalidRequest, ShuttingDown
from tricorn.manager.desk.orders import Command, Orders, Tell
from tricorn.manager.protocol.calls import Progress, Refused


class Number(msgspec.Struct, forbid_unknown_fields=True):
    value: int


def dispatcher(do: Callable[[Number, Tell], Awaitable[dict[str, Any]]]) -> Customer:
    return Customer(Orders({"do": Command(Number, do)}))


@on_loop
async def test_answer_and_progress() -> None:
    """A command's progress comes before its answer, each with the order's number."""

    async def do(number: Number, tell: Tell) -> dict[str, Any]:
        tell("half", 0.5, 2.0, {"seen": True})
        return {"value": number.value}

    customer = dispatcher(do)
    assert await customer.order("do", value=3) == {"value": 3}
    assert customer.progress == [Progress(1, "half", 0.5, 2.0, {"seen": True})]


@pytest.mark.parametrize(
    ("command", "arguments", "words"),
    [
        ("undo", {}, "no order 'undo'"),
        ("do", {"value": "3"}, "value"),
        ("do", {}, "value"),
        ("do", {"value": 1, "other": 2}, "other"),
    ],
)
@on_loop
async def test_bad_orders(command: str, arguments: dict[str, Any], words: str) -> None:
    """An unknown order, and arguments of other names or types."""

    async def do(number: Number, tell: Tell) -> dict[str, Any]:
        raise AssertionError("it was carried out")

    error = await dispatcher(do).refusal(command, **arguments)
    assert isinstance(error, InvalidRequest)
    assert words in error.message


@on_loop
async def test_errors_are_answers() -> None:
    """A TricornError is told as it is; anything else without its details."""

    async def do(number: Number, tell: Tell) -> dict[str, Any]:
        if number.value:
            raise Conflict("no", param="p")
        raise ZeroDivisionError("secret")

    customer = dispatcher(do)
    refusal = await customer.refusal("do", value=1)
    assert (type(refusal), refusal.message, refusal.param) == (Conflict, "no", "p")
    broken = await customer.refusal("do", value=0)
    assert isinstance(broken, InternalError)
    assert "secret" not in broken.message


@pytest.mark.parametrize("how", ["withdraw", "drop"])
@on_loop
async def test_ends_with_whom_it_was_for(how: str) -> None:
    """A withdrawn order, or one whose connection ends, is cancelled and not answered."""
    begun, ended = asyncio.Event(), asyncio.Event()

    async def do(number: Number, tell: Tell) -> dict[str, Any]:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return {}

    customer = dispatcher(do)
    call = customer.give("do", value=1)
    await begun.wait()
    if how == "withdraw":
        customer.orders.withdraw(customer, call)
    else:
        customer.orders.drop(customer)
    await asyncio.wait_for(ended.wait(), WAIT_S)
    await asyncio.sleep(0)
    assert not customer.answers[call].done()


@on_loop
async def test_close_refuses() -> None:
    """What runs at the end is refused, and so is what comes after."""
    begun = asyncio.Event()

    async def do(number: Number, tell: Tell) -> dict[str, Any]:
        begun.set()
        await asyncio.Event().wait()
        return {}

    customer = dispatcher(do)
    call = customer.give("do", value=1)
    await begun.wait()
    customer.orders.close()
    running = await asyncio.wait_for(customer.answers[call], WAIT_S)
    assert isinstance(running, Refused)
    assert running.error.code == ShuttingDown.code
    assert isinstance(await customer.refusal("do", value=1), ShuttingDown)
