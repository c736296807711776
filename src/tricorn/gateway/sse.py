"""Server-sent events: framing, and the headers that keep proxies from holding them back."""

from __future__ import annotations

import orjson

from tricorn.errors import TricornError
from tricorn.gateway.errors import envelope

MIMETYPE = "text/event-stream"
HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
KEEP_ALIVE = b": keep-alive\n\n"
"""A comment: clients skip it, proxies see that the stream lives."""
DONE = b"data: [DONE]\n\n"


def frame(chunks: list[bytes]) -> bytes:
    """One event a chunk, as one piece to write."""
    return b"".join([b"data: " + chunk + b"\n\n" for chunk in chunks])


def error_event(error: TricornError) -> bytes:
    """What ends a stream that failed after it had begun; no `[DONE]` follows it."""
    return frame([orjson.dumps(envelope(error))])
