"""Parking and waking the engine when the manager says so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from tricorn.engines.base import InferenceEngine
from tricorn.errors import ModelLoadFailed, TricornError
from tricorn.manager import protocol as control

Order = control.Park | control.Wake

log = structlog.get_logger(part="worker")


async def follow(
    engine: InferenceEngine,
    orders: asyncio.Queue[Order],
    tell: Callable[[control.ClientMessage], None],
) -> None:
    """Carry out one order after the other and answer each; for a loaded engine. Never ends."""
    while True:
        order = await orders.get()
        try:
            if isinstance(order, control.Park):
                await engine.park()
                tell(control.Parked())
            else:
                await engine.wake()
                tell(control.Woken())
        except TricornError as error:
            tell(control.LoadFailed(error.info()))
        except Exception as error:
            log.exception("the engine could not be parked or woken")
            failure = ModelLoadFailed(f"{type(error).__name__}: {error}")
            tell(control.LoadFailed(failure.info()))
