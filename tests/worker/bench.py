"""An engine worker's server in this process, and gateways that talk to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from tricorn.engines.base import InferenceEngine
from tricorn.engines.fake import create
from tricorn.engines.request import SamplingParams
from tricorn.engines.spec import EngineOptions, ModelSpec
from tricorn.wire import open_connection, pack, read_frame
from tricorn.worker import protocol
from tricorn.worker.protocol import Failed, Finished, Hello, Start
from tricorn.worker.server import WorkerServer


class Gateway:
    """A raw connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def send(self, *ops: protocol.Op) -> None:
        self.writer.write(b"".join(pack(protocol.encode(op)) for op in ops))

    def start(self, number: int, text: str = "hello", **sampling: Any) -> None:
        prompt = protocol.TextPrompt(text)
        self.send(Start(number, f"r{number}", prompt, SamplingParams(**sampling)))

    async def frame(self) -> protocol.Frame:
        payload = await read_frame(self.reader)
        assert payload is not None
        return protocol.decode_frame(payload)

    async def until(self, ends: int = 1) -> list[protocol.Frame]:
        """All frames up to the one with that many ends seen."""
        frames: list[protocol.Frame] = []
        while ends > 0:
            frames.append(await self.frame())
            ends -= sum(isinstance(event, Finished | Failed) for event in frames[-1].events)
        return frames


class Bench:
    def __init__(self, engine: InferenceEngine, server: WorkerServer, address: str) -> None:
        self.engine, self.server, self.address = engine, server, address
        self.lost = 0

    async def connect(self, secret: str = "s") -> Gateway:
        gateway = Gateway(*await open_connection(self.address))
        gateway.send(Hello(secret))
        return gateway

    async def idle(self) -> None:
        while self.engine.stats().running or self.engine.stats().waiting:
            await asyncio.sleep(0.005)


@asynccontextmanager
async def bench(address: str, **engine_args: Any) -> AsyncIterator[Bench]:
    engine = create()
    options = EngineOptions(context_length=100_000, engine_args=engine_args)
    model = await engine.load(ModelSpec("m", "", "fake", "fake", "", 0, 0, options))

    def on_lost() -> None:
        made.lost += 1

    server = WorkerServer(engine, model, secret="s", on_lost=on_lost)
    made = Bench(engine, server, await server.listen(address))
    yield made
    await engine.unload()


def run(address: str, scenario: Callable[[Bench], Awaitable[None]], **engine_args: Any) -> None:
    async def limited() -> None:
        async with asyncio.timeout(30), bench(address, **engine_args) as made:
            await scenario(made)

    asyncio.run(limited())


def events(frames: list[protocol.Frame], number: int) -> list[protocol.Event]:
    return [event for frame in frames for event in frame.events if event.id == number]
