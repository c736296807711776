"""A replica's side of its worker's control connection: what was told, what was ordered."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from tricorn.engines.base import EngineStats
from tricorn.errors import ErrorInfo
from tricorn.manager.protocol.messages import ManagerMessage
from tricorn.manager.protocol.worker import (
    CanaryDone,
    LoadFailed,
    Loading,
    Park,
    Parked,
    Ready,
    Stats,
    Stop,
    Wake,
    Woken,
    WorkerMessage,
)
from tricorn.manager.replicas.guard import Guard


class WorkerLink:
    """Begins without a connection; at most one is made, and once lost it does not come back."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._send: Callable[[ManagerMessage], None] | None = None
        self.lost: asyncio.Future[None] = self._loop.create_future()
        self.answer: asyncio.Future[Ready | Parked | Woken | ErrorInfo]
        self.answer = self._loop.create_future()
        """To the last order; the first one, which needs no words, is to load."""
        self.progress: float | None = None
        self.stats: EngineStats | None = None
        self.guard: Guard | None = None
        """Hears what concerns it, while there is one."""

    def attach(self, send: Callable[[ManagerMessage], None]) -> bool:
        """The worker has connected; False where it already had."""
        if self._send is not None:
            return False
        self._send = send
        return True

    def lose(self) -> None:
        settle(self.lost)

    def tell(self, message: ManagerMessage) -> None:
        """Nothing happens where there is no connection."""
        if self._send is not None:
            self._send(message)

    def order(self, order: Park | Wake) -> None:
        """`answer` becomes the one to this."""
        self.answer = self._loop.create_future()
        self.tell(order)

    def stop(self) -> bool:
        """Ask the worker to end; False where it cannot be asked."""
        self.tell(Stop())
        return self._send is not None and not self.lost.done()

    def received(self, message: WorkerMessage) -> None:
        match message:
            case Loading(progress):
                self.progress = progress
            case Stats(stats):
                self.stats = stats
                if self.guard is not None:
                    self.guard.told(stats, self._loop.time())
            case CanaryDone(error):
                if self.guard is not None:
                    self.guard.sang(error)
            case LoadFailed(error):
                settle(self.answer, error)
            case _:
                settle(self.answer, message)


def settle(future: asyncio.Future[Any], result: Any = None) -> None:
    """Give it its result, if it has none yet."""
    if not future.done():
        future.set_result(result)


async def first(*futures: asyncio.Future[Any], timeout_s: float | None = None) -> None:
    """Return when one of them is done, or at the deadline; cancels none."""
    await asyncio.wait(futures, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
