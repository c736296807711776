"""The life of an engine worker: load, prove that it can generate, report, serve, end."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable
from functools import partial

import msgspec
import structlog

from tricorn import logs
from tricorn.chat.tools import recognise
from tricorn.engines.base import InferenceEngine
from tricorn.engines.registry import create
from tricorn.engines.spec import Adapter, LoadedModel
from tricorn.errors import EngineLost, ModelLoadFailed, TricornError
from tricorn.manager.protocol import messages
from tricorn.manager.protocol.messages import ClientMessage, Hello
from tricorn.manager.protocol.worker import (
    DropAdapter,
    LoadFailed,
    Loading,
    Ready,
    SetLevel,
    Stats,
    Stop,
)
from tricorn.wire import FrameError, open_connection, pack, read_frame
from tricorn.worker import affinity, canary, orders
from tricorn.worker.protocol import Launch
from tricorn.worker.server import WorkerServer

EXIT_LOAD_FAILED = 3
EXIT_ENGINE_LOST = 70
STATS_INTERVAL_S = 1.0

log = structlog.get_logger(part="worker")


async def run(launch: Launch) -> int:
    """Serve until told to stop; the process's exit code."""
    reader, writer = await open_connection(launch.control_address)

    def tell(message: ClientMessage) -> None:
        writer.write(pack(messages.encode(message)))

    tell(Hello("worker", os.getpid(), launch.control_secret, launch.replica))
    stopping = asyncio.Event()
    # A terminal's Ctrl-C reaches the whole group: the manager decides when a worker ends.
    if sys.platform == "win32":  # where SIGTERM ends it at once
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    else:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, stopping.set)
        loop.add_signal_handler(signal.SIGINT, lambda: None)
    dropped: asyncio.Queue[Adapter] = asyncio.Queue()
    ordered: asyncio.Queue[orders.Order] = asyncio.Queue()
    manager = asyncio.create_task(_obey(reader, stopping, dropped, ordered))
    tell(Loading(0.0))
    lost = asyncio.Event()

    def on_lost() -> None:
        # Let the last frames reach their gateways before the process goes.
        asyncio.get_running_loop().call_later(0.05, _end, lost, stopping)

    try:
        engine, model = await _load(launch)
        server = WorkerServer(engine, model, secret=launch.data_secret, on_lost=on_lost)
        address = await server.listen(launch.data_address)
        proof = (address, launch.data_secret, model.capabilities)
        began = time.monotonic()
        await canary.prove(*proof)
        proven_s = round(time.monotonic() - began, 3)
    except TricornError as error:
        log.error("load failed", error=error.message)
        tell(LoadFailed(error.info()))
        await writer.drain()
        return EXIT_LOAD_FAILED

    tell(Ready(address, model))
    dialect = {"tools": model.dialect.tools, "reasoning": model.dialect.reasoning}
    where = {"model": launch.spec.id, "address": address}
    log.info("ready", **where, canary_s=proven_s, **dialect, **model.details)

    reporter = asyncio.create_task(_report(engine, tell, on_lost))
    dropping = asyncio.create_task(_drop(engine, dropped))
    proofs = orders.Proofs(partial(canary.prove, *proof), partial(canary.sing, *proof))
    following = asyncio.create_task(orders.follow(engine, ordered, tell, proofs))
    await stopping.wait()
    reporter.cancel()
    dropping.cancel()
    following.cancel()
    manager.cancel()
    if lost.is_set():
        return EXIT_ENGINE_LOST
    try:
        # A step under way ends first; an engine that hangs in one is not waited for.
        await asyncio.wait_for(engine.unload(), 5.0)
    except TimeoutError:
        log.warning("engine did not end its step; leaving it")
        os._exit(0)
    return 0


async def _load(launch: Launch) -> tuple[InferenceEngine, LoadedModel]:
    affinity.bind(launch.cores)
    engine = create(launch.spec.engine)
    try:
        model = await engine.load(launch.spec)
        bound = affinity.details(launch.spec.binding, launch.cores)
        model = msgspec.structs.replace(model, details=model.details | bound)
        if (template := launch.spec.options.chat_template) is not None:
            model = msgspec.structs.replace(model, chat_template=template, tool_template=None)
        return engine, msgspec.structs.replace(model, dialect=recognise.dialect(model))
    except TricornError:
        raise
    except Exception as error:
        log.exception("engine failed to load the model")
        raise ModelLoadFailed(f"{type(error).__name__}: {error}") from error


def _end(lost: asyncio.Event, stopping: asyncio.Event) -> None:
    lost.set()
    stopping.set()


async def _obey(
    reader: asyncio.StreamReader,
    stopping: asyncio.Event,
    dropped: asyncio.Queue[Adapter],
    ordered: asyncio.Queue[orders.Order],
) -> None:
    """Until `Stop`. A manager that is gone means the same."""
    try:
        while (payload := await read_frame(reader)) is not None:
            message = messages.decode_manager(payload)
            if isinstance(message, Stop):
                break
            if isinstance(message, DropAdapter):
                dropped.put_nowait(message.adapter)
            elif isinstance(message, SetLevel):
                logs.set_level(message.level)
            elif isinstance(message, orders.Order):
                ordered.put_nowait(message)
    except FrameError as error:
        log.error("the manager broke the protocol", error=str(error))
    stopping.set()


async def _drop(engine: InferenceEngine, dropped: asyncio.Queue[Adapter]) -> None:
    """Hand on which adapters are gone, one after the other, to an engine that is loaded."""
    while True:
        adapter = await dropped.get()
        try:
            await engine.drop_adapter(adapter)
        except TricornError as error:  # `_report` learns of a lost engine by itself
            log.warning("an adapter was not dropped", adapter=adapter.name, error=error.message)


async def _report(
    engine: InferenceEngine,
    tell: Callable[[ClientMessage], None],
    on_lost: Callable[[], None],
) -> None:
    while True:
        try:
            await engine.check()
        except EngineLost as error:
            log.error("engine lost", error=error.message)
            on_lost()
            return
        # Also where nothing has changed: the manager takes silence for the end of it.
        tell(Stats(engine.stats()))
        await asyncio.sleep(STATS_INTERVAL_S)
