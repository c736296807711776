"""What the manager orders of an engine that is loaded: to park, to wake, to show that it works."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import structlog

from tricorn.engines.base import InferenceEngine
from tricorn.errors import ErrorInfo, ModelLoadFailed, TricornError
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

Order = Park | Wake | Canary

log = structlog.get_logger(part="worker")


class Proofs(NamedTuple):
    """One token each, or what the model makes; a TricornError where there is none."""

    awake: Callable[[], Awaitable[object]]
    """After waking."""
    idle: Callable[[], Awaitable[object]]
    """When it is asked for."""


async def follow(
    engine: InferenceEngine,
    orders: asyncio.Queue[Order],
    tell: Callable[[ClientMessage], None],
    proofs: Proofs,
) -> None:
    """Carry out one order after the other and answer each. Never ends."""
    while True:
        order = await orders.get()
        try:
            tell(await _done(order, engine, proofs))
        except TricornError as error:
            tell(_undone(order, error.info()))
        except Exception as error:
            log.exception("an order could not be carried out", order=type(order).__name__)
            failure = ModelLoadFailed(f"{type(error).__name__}: {error}")
            tell(_undone(order, failure.info()))


async def _done(order: Order, engine: InferenceEngine, proofs: Proofs) -> ClientMessage:
    match order:
        case Park():
            await engine.park()
            return Parked()
        case Wake():
            await engine.wake()
            await proofs.awake()
            return Woken()
        case Canary():
            await proofs.idle()
            return CanaryDone()


def _undone(order: Order, error: ErrorInfo) -> ClientMessage:
    if isinstance(order, Canary):
        return CanaryDone(error)
    return LoadFailed(error)
