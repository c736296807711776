"""One real token, vector or score over a worker's data socket: the shortest proof that it serves.

The worker sends it to itself before it says `Ready` and when the manager asks; the doctor sends it
to a worker of its own. It takes the way of every request: socket, tokens, engine, frames.
"""

from __future__ import annotations

import asyncio

from tricorn.engines.request import SamplingParams
from tricorn.engines.spec import EngineCapabilities
from tricorn.errors import (
    EngineGenerateError,
    EngineLost,
    ModelLoadFailed,
    TricornError,
    from_info,
)
from tricorn.wire import open_connection, pack, read_frame
from tricorn.worker import protocol

TIMEOUT_S = 120.0
"""A first token may have kernels compiled and weights read from a slow disk."""
WORDS = "One,"
NAME = "canary"
"""The request id, by which logs tell it from requests."""


async def prove(address: str, secret: str, can: EngineCapabilities) -> None:
    """As `sing`, of an engine that was just loaded or woken; ModelLoadFailed says that it was."""
    try:
        await sing(address, secret, can)
    except TricornError as error:
        wanted = "generate a token" if can.generate else f"make {_what(can)}"
        raise ModelLoadFailed(
            f"it was brought into memory, but could not {wanted}: {error.message}"
        ) from error


async def sing(address: str, secret: str, can: EngineCapabilities) -> str:
    """What came: `a token ('…')`, `a vector` or `a score`. TricornError where nothing did, also
    when it takes longer than `TIMEOUT_S`."""
    try:
        async with asyncio.timeout(TIMEOUT_S):
            return await _sing(address, secret, can)
    except TimeoutError as error:
        raise EngineGenerateError(f"there was no answer within {TIMEOUT_S:g} s") from error
    except OSError as error:
        raise EngineLost(f"its data socket cannot be used: {error}") from error


async def _sing(address: str, secret: str, can: EngineCapabilities) -> str:
    reader, writer = await open_connection(address)
    talk = _Talk(reader, writer)
    try:
        talk.send(protocol.Hello(secret))
        if can.generate:
            return await _token(talk)
        if can.embed:
            talk.send(protocol.Embed(1, NAME, [protocol.TextPrompt(WORDS)]))
        else:
            talk.send(protocol.Score(1, NAME, [WORDS], [WORDS]))
        events = await talk.answer()
        if not any(isinstance(e, protocol.Vectors | protocol.Scored) for e in events):
            raise EngineGenerateError(f"the engine answered without {_what(can)}")
        return _what(can)
    finally:
        writer.close()


def _what(can: EngineCapabilities) -> str:
    return "a vector" if can.embed else "a score"


async def _token(talk: _Talk) -> str:
    # Without the tokens that begin every prompt: what it leaves in the prefix cache is then no
    # prefix of any real one, and the first request's usage tells of no cached token.
    talk.send(protocol.Tokenize(1, NAME, protocol.TextPrompt(WORDS), add_special=False))
    (tokenized,) = (e for e in await talk.answer() if isinstance(e, protocol.Tokenized))
    prompt = protocol.TokenPrompt(tokenized.token_ids)
    sampling = SamplingParams(temperature=0.0, max_tokens=1)
    talk.send(protocol.Start(2, NAME, prompt, sampling))
    deltas = [e.delta for e in await talk.answer() if isinstance(e, protocol.Delta)]
    if not any(delta.token_ids for delta in deltas):
        raise EngineGenerateError("the engine answered without a token")
    return f"a token ({''.join(delta.text for delta in deltas).strip()!r})"


class _Talk:
    """One request after the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def send(self, op: protocol.Op) -> None:
        self._writer.write(pack(protocol.encode(op)))

    async def answer(self) -> list[protocol.Event]:
        """Of the request that was sent last. The error that it failed with, raised."""
        events: list[protocol.Event] = []
        while (payload := await read_frame(self._reader)) is not None:
            for event in protocol.decode_frame(payload).events:
                if isinstance(event, protocol.Finished):
                    return events
                if isinstance(event, protocol.Failed):
                    raise from_info(event.error)
                events.append(event)
        raise EngineLost("the engine worker closed the connection")
