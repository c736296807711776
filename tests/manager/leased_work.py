"""Requests that run on a lease."""

from __future__ import annotations

import asyncio

from tricorn.engines.request import SamplingParams
from tricorn.manager.protocol.calls import Granted
from tricorn.manager.replicas.replica import Replica
from tricorn.wire import open_connection, pack, read_frame
from tricorn.worker import protocol


async def events(lease: Granted) -> list[protocol.Event]:
    """Of a request, until it or its connection ends."""
    reader, writer = await open_connection(lease.address)
    try:
        start = protocol.Start(1, "r", protocol.TextPrompt("hello"), SamplingParams())
        for op in (protocol.Hello(lease.secret), start):
            writer.write(pack(protocol.encode(op)))
        found: list[protocol.Event] = []
        async with asyncio.timeout(30):
            while (payload := await read_frame(reader)) is not None:
                found += protocol.decode_frame(payload).events
                if isinstance(found[-1], protocol.Finished | protocol.Failed):
                    break
        return found
    finally:
        writer.close()


async def text(lease: Granted) -> str:
    told = await events(lease)
    assert isinstance(told[-1], protocol.Finished)
    return "".join(event.delta.text for event in told if isinstance(event, protocol.Delta))


async def under_way(replica: Replica) -> None:
    """Wait until it has told of more than the token before it was ready."""
    async with asyncio.timeout(15):
        while replica.stats is None or replica.stats.generated_tokens < 2:
            await asyncio.sleep(0.01)
