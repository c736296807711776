"""A stream, piece by piece: what is written next, and what where it fails on the way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import structlog

from tricorn.errors import InternalError, TricornError
from tricorn.gateway.answers import sse
from tricorn.gateway.answers.errors import ClientGone
from tricorn.gateway.answers.maker import Maker
from tricorn.gateway.http.quick_socket import QuickSocket
from tricorn.gateway.requests.fast_lane import FastLane, Unsent
from tricorn.gateway.requests.generation import Ended, Event, Generation, Leased

log = structlog.get_logger(part="gateway")

MAX_BATCH = 64
"""Events that are put into one write when they have piled up behind a slow client."""


class Begun:
    """A stream whose first piece is already known. The server closes it, sent or not."""

    def __init__(self, first: bytes, rest: Iterator[bytes]) -> None:
        self._first: bytes | None = first
        self._rest = rest

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._first is not None:
            first, self._first = self._first, None
            return first
        return next(self._rest)

    def close(self) -> None:
        close = getattr(self._rest, "close", None)
        if close is not None:
            close()


def of(
    generation: Generation, maker: Maker[Any], framing: sse.Framing, sock: QuickSocket | None
) -> Iterator[bytes]:
    """What to write, piece by piece. Raises only before the first piece.

    sock: where tokens may be written past this, once the stream has begun.
    """
    begun = ended = False
    chunks: list[bytes] = []
    lane: FastLane | None = None
    try:
        while not ended:
            event = generation.next() if lane is None else _next_beside(lane, generation)
            if isinstance(event, Unsent):
                assert lane is not None
                lane.write(event)
                continue
            silent = event is None
            for left in reversed(range(MAX_BATCH)):
                if event is None:
                    break
                if isinstance(event, Leased):
                    # A second lease: what the lost engine gave was not sent, and never will be.
                    chunks.clear()
                chunks += maker.feed(event)
                ended = isinstance(event, Ended)
                if ended:
                    break
                event = generation.next(0) if left and generation.waiting() else None
            if chunks:
                generation.committed = True
            if chunks or silent or ended:
                begun = True
                # From now on there is no status to be spoilt by telling why it takes so long.
                generation.tells_progress = framing.tells_progress
                if chunks or ended:
                    piece = framing.frame(chunks)
                else:
                    piece = framing.silence(generation.progress())
                if ended:
                    piece += framing.done
                chunks.clear()
                yield piece
                if lane is None and generation.committed and sock is not None and not ended:
                    lane = generation.open_fast_lane(
                        sock, lambda position, delta: framing.frame(maker.grow(position, delta))
                    )
    except TricornError as error:
        if not begun:
            raise
        maker.facts.error = error.code
        maker.facts.message = error.message
        yield framing.frame(chunks) + framing.error(error)
    except ClientGone:
        maker.facts.error = "client_gone"
        if not begun:
            raise
    except Exception as error:
        if not begun:
            raise
        maker.facts.error = InternalError.code
        maker.facts.message = f"{type(error).__name__}: {error}"
        log.exception("stream failed", request_id=maker.facts.request_id)
        yield framing.error(InternalError("Tricorn failed while it was streaming."))
    finally:
        generation.close()
        maker.note(generation)


def _next_beside(lane: FastLane, generation: Generation) -> Event | None:
    """What happens next, while tokens may take the fast lane."""
    lane.open = True
    try:
        return generation.next()
    finally:
        lane.open = False
