"""Streams: how chunks become bytes, and the headers that keep proxies from holding them back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import orjson

from tricorn.errors import TricornError
from tricorn.gateway.answers import error_shapes
from tricorn.manager.protocol.calls import Progress

MIMETYPE = "text/event-stream"
HEADERS = {"Cache-Control": "no-store, no-transform", "X-Accel-Buffering": "no"}
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
    """What is sent when nothing has happened for a while."""
    tells_progress: bool = True
    """While a request waits for its model, that is a comment that says for what."""
    done: bytes = b""
    """What stands at the end of a stream that did not fail."""
    mimetype: str = MIMETYPE

    def silence(self, progress: Progress | None) -> bytes:
        """progress: where the request waits and it is known why."""
        if progress is None or not self.tells_progress:
            return self.keep_alive
        return comment(progress)


def comment(progress: Progress) -> bytes:
    """For people who look at the stream; clients skip it."""
    parts = [" ".join(progress.text.split())]
    if progress.share is not None:
        parts.append(f"{progress.share * 100:.0f} %")
    if progress.eta_s is not None:
        parts.append(f"about {max(1, round(progress.eta_s))} s left")
    return f": {', '.join(parts)}\n\n".encode()


def frame(chunks: list[bytes]) -> bytes:
    """One event a chunk."""
    return b"".join([b"data: " + chunk + b"\n\n" for chunk in chunks])


def events(chunks: list[bytes]) -> bytes:
    """One event a chunk, named by its type, which is the first field: {"type":"NAME"."""
    return b"".join(
        [
            b"event: " + chunk[9 : chunk.index(b'"', 9)] + b"\ndata: " + chunk + b"\n\n"
            for chunk in chunks
        ]
    )


def error_event(error: TricornError) -> bytes:
    """No `[DONE]` follows it."""
    return frame([orjson.dumps(error_shapes.openai(error))])


def lines(chunks: list[bytes]) -> bytes:
    """One line a chunk. Clients in Python take some more characters for line ends than JSON does;
    those are escaped."""
    text = b"\n".join([*chunks, b""])
    if not text.isascii():
        for character, escaped in _LINE_ENDS:
            text = text.replace(character, escaped)
    return text


def error_line(error: TricornError) -> bytes:
    return lines([orjson.dumps(error_shapes.ollama(error))])


_LINE_ENDS = [(chr(code).encode(), b"\\u%04x" % code) for code in (0x85, 0x2028, 0x2029)]


def anthropic(request_id: str) -> Framing:
    """Of messages, in the stream that answers this request."""

    def failed(error: TricornError) -> bytes:
        return events([orjson.dumps(error_shapes.anthropic(error, request_id))])

    ping = events([b'{"type":"ping"}'])
    return Framing(events, failed, keep_alive=ping, tells_progress=False)


OPENAI = Framing(frame, error_event, done=DONE)
"""Of chat completions and completions."""
OLLAMA = Framing(
    lines, error_line, keep_alive=b" ", tells_progress=False, mimetype="application/x-ndjson"
)
"""An empty line would be read as JSON; white space in front of the next object is a part of it."""
