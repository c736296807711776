"""The data socket under what no gateway and no engine worker sends: connections end, processes and
other connections do not, and nobody waits for ever."""

from __future__ import annotations

import asyncio
import logging
import queue
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests import garbage
from tests.gateway.engines import ScriptedWorker
from tests.worker.bench import Bench, Gateway, events, run

from tricorn.engines.request import SamplingParams
from tricorn.errors import EngineLost
from tricorn.wire import open_connection, pack, read_frame
from tricorn.worker import protocol, server
from tricorn.worker.client import EngineClient
from tricorn.worker.protocol import Failed, Finished, Hello

QUICK = settings(
    deadline=None,
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
ENDLESS = {"answer": "x", "endless": True, "token_delay_s": 0.001}


async def works(made: Bench) -> None:
    """Another gateway is served."""
    gateway = await made.connect()
    gateway.start(1, "hello")
    assert isinstance(events(await gateway.until(), 1)[-1], Finished)
    gateway.writer.close()


@QUICK
@given(greeted=st.booleans(), streams=st.lists(garbage.streams(*garbage.OPS), max_size=5))
def test_a_worker_goes_on(
    tmp_path_factory: pytest.TempPathFactory,
    caplog: pytest.LogCaptureFixture,
    greeted: bool,
    streams: list[bytes],
) -> None:
    """Whatever comes, with the secret or without; what it began is stopped with its connection."""
    caplog.clear()
    address = f"unix:{tmp_path_factory.mktemp('w') / 's'}"

    async def scenario(made: Bench) -> None:
        writers = []
        for stream in streams:
            _, writer = await open_connection(made.address)
            writer.write(pack(protocol.encode(Hello("s"))) * greeted + stream)
            writers.append(writer)
        await works(made)
        for writer in writers:
            writer.close()
        await made.idle()

    with caplog.at_level(logging.ERROR, "asyncio"):
        run(address, scenario)
    assert not [entry for entry in caplog.records if entry.name == "asyncio"]


def test_a_number_that_is_taken(tmp_path: Path) -> None:
    """Two requests under one number could not be told apart, nor stopped: that gateway is cut off,
    and both are."""

    async def scenario(made: Bench) -> None:
        gateway = await made.connect()
        gateway.start(1)
        gateway.start(1)
        while await read_frame(gateway.reader) is not None:
            continue
        await made.idle()
        await works_briefly(made)

    async def works_briefly(made: Bench) -> None:
        gateway = await made.connect()
        gateway.start(1, max_tokens=3)
        assert isinstance(events(await gateway.until(), 1)[-1], Finished)

    run(f"unix:{tmp_path / 's'}", scenario, **ENDLESS)


def test_a_gateway_that_does_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is cut off before it has the worker keep everything for it."""
    monkeypatch.setattr(server, "MAX_FRAME", 100_000)

    async def scenario(made: Bench) -> None:
        reader, writer = await open_connection(made.address)
        gateway = Gateway(reader, writer)
        gateway.send(Hello("s"))
        writer.transport.pause_reading()  # type: ignore[attr-defined] # a socket's
        gateway.start(1, logprobs=20)
        while made.engine.stats().running < 1:
            await asyncio.sleep(0.005)
        await made.idle()
        assert made.engine.stats().generated_tokens < 50_000, "it was not heard to the end"

    run(f"unix:{tmp_path / 's'}", scenario, answer="x", endless=True)


@pytest.fixture(scope="module")
def worker() -> Iterator[ScriptedWorker]:
    scripted = ScriptedWorker()
    yield scripted
    scripted.close()


@QUICK
@given(stream=garbage.streams(*garbage.FRAMES))
def test_a_gateway_does_not_wait_for_ever(worker: ScriptedWorker, stream: bytes) -> None:
    """Of an engine worker that talks nonsense, and then no more, each request hears an end."""
    client = EngineClient(worker.address, "s")
    inbox: queue.SimpleQueue[object] = queue.SimpleQueue()
    try:
        client.start(
            request_id="r", prompt=protocol.TextPrompt("a"), sampling=SamplingParams(), inbox=inbox
        )
        assert isinstance(worker.ops.get(timeout=5), protocol.Start)
        worker._connections[-1].sendall(stream)
        worker.hang_up()
        while not isinstance(inbox.get(timeout=5), Failed | Finished):
            continue
    except EngineLost:
        raise AssertionError("it was connected") from None
    finally:
        client.close()


@pytest.mark.parametrize("payload", [garbage.NO_TEXT, garbage.NO_END, garbage.NO_ITEMS, b"\xc1"])
def test_nonsense_alone_ends_it(worker: ScriptedWorker, payload: bytes) -> None:
    """Also where the worker's process keeps the connection open."""
    client = EngineClient(worker.address, "s")
    inbox: queue.SimpleQueue[object] = queue.SimpleQueue()
    number = client.start(
        request_id="r", prompt=protocol.TextPrompt("a"), sampling=SamplingParams(), inbox=inbox
    )
    worker.ops.get(timeout=5)
    worker._connections[-1].sendall(pack(payload))
    event = inbox.get(timeout=5)
    assert isinstance(event, Failed)
    assert (event.id, event.error.code) == (number, "engine_lost")
    assert client.lost
