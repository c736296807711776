"""What an engine does on the manager's word: park, wake, show that it works."""

from __future__ import annotations

import asyncio

import pytest

from tricorn.engines.fake import FakeCore
from tricorn.engines.stepped import SteppedEngine
from tricorn.errors import EngineGenerateError
from tricorn.manager.protocol.messages import ClientMessage
from tricorn.manager.protocol.worker import (
    Canary,
    CanaryDone,
    LoadFailed,
    Park,
    Parked,
    Wake,
    Woken,
)
from tricorn.worker.orders import Order, Proofs, follow


class Engine(SteppedEngine):
    """Notes what it is asked for; fails as it is told."""

    def __init__(self, failure: Exception | None = None) -> None:
        super().__init__(FakeCore())
        self.asked: list[str] = []
        self.failure = failure

    async def park(self) -> None:
        self.asked.append("park")
        if self.failure is not None:
            raise self.failure

    async def wake(self) -> None:
        self.asked.append("wake")

    async def awake(self) -> None:
        self.asked.append("awake?")

    async def idle(self) -> None:
        self.asked.append("works?")
        if self.failure is not None:
            raise self.failure


def answers(engine: Engine, *orders: Order) -> list[ClientMessage]:
    """What the manager is told, order by order."""

    async def scenario() -> list[ClientMessage]:
        inbox: asyncio.Queue[Order] = asyncio.Queue()
        told: asyncio.Queue[ClientMessage] = asyncio.Queue()
        following = asyncio.create_task(
            follow(engine, inbox, told.put_nowait, Proofs(engine.awake, engine.idle))
        )
        for order in orders:
            inbox.put_nowait(order)
        found = [await asyncio.wait_for(told.get(), 5) for _ in orders]
        following.cancel()
        return found

    return asyncio.run(scenario())


def test_each_order_is_done_and_answered() -> None:
    """In the order in which they came; what was woken has to show at once that it works."""
    engine = Engine()
    assert answers(engine, Park(), Wake(), Canary()) == [Parked(), Woken(), CanaryDone()]
    assert engine.asked == ["park", "wake", "awake?", "works?"]


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        (EngineGenerateError("not now"), "not now"),
        (RuntimeError("CUDA error"), "RuntimeError: CUDA error"),
    ],
)
def test_a_failure_is_told_and_is_not_the_end(failure: Exception, message: str) -> None:
    """What is to become of the process is the manager's choice."""
    first, second, third = answers(Engine(failure), Park(), Canary(), Wake())
    assert isinstance(first, LoadFailed)
    assert isinstance(second, CanaryDone)
    assert second.error is not None
    assert first.error.message == second.error.message == message
    assert third == Woken()


@pytest.mark.parametrize("name", ["park", "wake"])
def test_an_engine_that_cannot_is_never_asked(name: str) -> None:
    """It does not have the capability, and says so if it is."""
    with pytest.raises(TypeError, match="called without the capability park"):
        asyncio.run(getattr(SteppedEngine(FakeCore()), name)())
