"""What the manager orders of an engine that is loaded: to park, to wake, to show that it works."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import structlog

from tricorn.engines.base import InferenceEngine
from tricorn.errors import ErrorInfo, ModelLoadFailed, TricornError
from tricorn.manager import protocol as control

Order = control.Park | control.Wake | control.Canary

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
    tell: Callable[[control.ClientMessage], None],
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


async def _done(order: Order, engine: InferenceEngine, proofs: Proofs) -> control.ClientMessage:
    match order:
        case control.Park():
            await engine.park()
            return control.Parked()
        case control.Wake():
            await engine.wake()
            await proofs.awake()
            return control.Woken()
        case control.Canary():
            await proofs.idle()
            return control.CanaryDone()


def _undone(order: Order, error: ErrorInfo) -> control.ClientMessage:
    if isinstance(order, control.Canary):
        return control.CanaryDone(error)
    return control.LoadFailed(error)
