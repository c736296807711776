"""Streams: how chunks become bytes, and the headers that keep proxies from holding them back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import orjson

from tricorn.errors import TricornError
from tricorn.gateway import error_shapes

MIMETYPE = "text/event-stream"
HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
KEEP_ALIVE = b": keep-alive\n\n"
"""A comment: clients skip it, proxies see that the stream lives."""
DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True)
class Framing:
    """What one API family makes of a builder's chunks."""

    frame: Callable[[list[bytes]], bytes]
    """All chunks, as one piece to write."""
    error: Callable[[TricornError], bytes]
    """What ends a stream that failed after it had begun."""
    keep_alive: bytes = KEEP_ALIVE
    done: bytes = b""
    """What stands at the end of a stream that did not fail."""
    mimetype: str = MIMETYPE


def frame(chunks: list[bytes]) -> bytes:
    """One event a chunk."""
    return b"".join([b"data: " + chunk + b"\n\n" for chunk in chunks])


def error_event(error: TricornError) -> bytes:
    """No `[DONE]` follows it."""
    return frame([orjson.dumps(error_shapes.openai(error))])


OPENAI = Framing(frame, error_event, done=DONE)
"""Of chat completions and completions."""
