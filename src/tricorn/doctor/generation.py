"""One token, or vector, from a real engine worker: the shortest proof that an engine works here.

Plays the manager and the gateway to a worker of its own; a server that runs beside it is not
touched.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tricorn.engines.spec import ModelSpec
from tricorn.errors import ModelLoadFailed, from_info
from tricorn.manager.protocol import messages
from tricorn.manager.protocol.worker import LoadFailed, Ready, Stop
from tricorn.manager.replicas.placement import Engine, LocalPlacement
from tricorn.wire import pack, read_frame
from tricorn.worker import canary

T = TypeVar("T")
Listener = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

UNLOAD_WAIT_S = 10.0


@dataclass(frozen=True)
class Trial:
    seconds: float
    """From the start of the process to the answer."""
    answer: str
    """What came: `a token ('…')`, `a vector` or `a score`."""


async def one_token(spec: ModelSpec, python: Path, timeout_s: float) -> Trial:
    """Load `spec` in a worker run by `python`, generate one token, end the worker. Of a model that
    does not generate, one vector or score.

    TricornError with the reason where it cannot; also when it takes longer than `timeout_s`.
    """
    with tempfile.TemporaryDirectory(prefix="tricorn-doctor-") as folder:
        try:
            return await asyncio.wait_for(_try(spec, python, Path(folder)), timeout_s)
        except TimeoutError as error:
            raise ModelLoadFailed(f"no token within {timeout_s:.0f} seconds") from error
        except OSError as error:
            raise ModelLoadFailed(f"the engine worker cannot be started: {error}") from error


async def _try(spec: ModelSpec, python: Path, folder: Path) -> Trial:
    loop = asyncio.get_running_loop()
    started = loop.time()
    loaded: asyncio.Future[Ready] = loop.create_future()
    writers: list[asyncio.StreamWriter] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        while (payload := await read_frame(reader)) is not None:
            message = messages.decode_client(payload)
            if isinstance(message, Ready) and not loaded.done():
                loaded.set_result(message)
            elif isinstance(message, LoadFailed) and not loaded.done():
                loaded.set_exception(from_info(message.error))

    server, address = await _serve(listen, folder)
    secret = secrets.token_hex(16)
    placement = LocalPlacement(
        engine_python=lambda _: python,
        run_dir=folder,
        log_dir=folder,
        control_address=address,
        control_secret=secret,
        unix_sockets=os.name == "posix",
    )
    engine = await placement.start("doctor", spec)
    try:
        ready = await _unless_it_ends(loaded, engine)
        answer = await _unless_it_ends(
            asyncio.ensure_future(
                canary.sing(ready.address, engine.data_secret, ready.model.capabilities)
            ),
            engine,
        )
        return Trial(loop.time() - started, answer)
    finally:
        for writer in writers:
            with contextlib.suppress(OSError):
                writer.write(pack(messages.encode(Stop())))
        await asyncio.shield(engine.end(UNLOAD_WAIT_S))
        server.close()


async def _serve(listen: Listener, folder: Path) -> tuple[asyncio.Server, str]:
    if os.name == "posix":
        path = folder / "control.sock"
        return await asyncio.start_unix_server(listen, path), f"unix:{path}"
    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    return server, f"tcp:127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def _unless_it_ends(wanted: asyncio.Future[T], engine: Engine) -> T:
    """Wait for `wanted`; ModelLoadFailed with the worker's last words where it ends before."""
    ended = asyncio.ensure_future(engine.wait())
    try:
        both: set[asyncio.Future[Any]] = {wanted, ended}
        await asyncio.wait(both, return_when="FIRST_COMPLETED")
        if not wanted.done():
            last = (engine.log_tail() or ["it said nothing"])[-1]
            raise ModelLoadFailed(f"the engine worker ended ({ended.result()}): {last}")
        return wanted.result()
    finally:
        ended.cancel()
        wanted.cancel()
