"""From a generation to an HTTP answer: one object, or a stream of events."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, TypeVar

import msgspec
import orjson
import structlog
from flask import Response, request

from tricorn.chat.response import Builder, Head, WholeBuilder, fingerprint, new_id
from tricorn.engines.request import SamplingParams, TokenDelta
from tricorn.errors import InternalError, TricornError
from tricorn.gateway import record
from tricorn.gateway.answers import sse
from tricorn.gateway.answers.errors import ClientGone
from tricorn.gateway.guard.caller import turn_key
from tricorn.gateway.http.quick_socket import QuickSocket
from tricorn.gateway.record import TRUNCATED_HEADER, Record
from tricorn.gateway.requests import fast_lane, prompt_log
from tricorn.gateway.requests.call import Answer, Ask, Call, no_check
from tricorn.gateway.requests.errand import Errand
from tricorn.gateway.requests.fast_lane import FastLane, Unsent
from tricorn.gateway.requests.generation import (
    Ended,
    Event,
    Generation,
    Grown,
    Job,
    Leased,
    PromptTaken,
)
from tricorn.gateway.requests.visit import Visit
from tricorn.gateway.services import services
from tricorn.manager.protocol import Granted

log = structlog.get_logger(part="gateway")

MAX_BATCH = 64
"""Events that are put into one write when they have piled up behind a slow client."""

BuilderT = TypeVar("BuilderT", bound=Builder)


def json(value: object, status: int = 200) -> Response:
    return Response(orjson.dumps(value), status=status, mimetype="application/json")


def whole(job: Job, make: Callable[[Head], WholeBuilder], *, prefix: str) -> Response:
    """Wait for the whole answer. TricornError or ClientGone when there is none."""
    facts = record.current()
    facts.stream = False
    generation = Generation(services(), job, client_socket(), turn_key())
    _watch(generation, facts, lambda: job.prompts, job.sampling)
    maker = _Maker(make, prefix, facts)
    try:
        while True:
            event = generation.next()
            if event is not None:
                maker.feed(event)
            if isinstance(event, Ended):
                assert maker.builder is not None
                response = json(maker.builder.result())
                response.headers.update(maker.headers())
                return response
    finally:
        generation.close()
        maker.note(generation)


def stream(
    job: Job,
    make: Callable[[Head], Builder],
    *,
    prefix: str,
    framing: sse.Framing = sse.OPENAI,
) -> Response:
    """Wait for the first token, or for the first keep-alive, then stream.

    TricornError or ClientGone where it fails before that.
    """
    facts = record.current()
    facts.stream = True
    generation = Generation(services(), job, client_socket(), turn_key())
    _watch(generation, facts, lambda: job.prompts, job.sampling)
    maker = _Maker(make, prefix, facts)
    pieces = _pieces(generation, maker, framing, fast_lane.socket_for(request.environ))
    begun = Begun(next(pieces), pieces)
    return Response(
        begun,
        mimetype=framing.mimetype,
        headers={**sse.HEADERS, **maker.headers()},
    )


def answered(ask: Ask) -> Answer:
    """Wait for the answer. TricornError or ClientGone when there is none."""
    facts = record.current()
    call = Call(services(), ask, client_socket(), turn_key())
    _watch(call, facts, lambda: [ask.make(0)])
    try:
        while (answer := call.next()) is None:
            continue
    finally:
        call.close()
        if facts.trace is not None:
            facts.trace.left_engine()
    facts.retried = answer.retried
    return answer


def visited(
    model: str, check: Callable[[Granted], None] = no_check, keep_alive_s: float | None = None
) -> Granted:
    """Wait until the model is loaded. TricornError or ClientGone where that fails.

    check: raises a RequestError for a model that will not do. keep_alive_s: as in `Acquire`.
    """
    visit = Visit(
        services(),
        model,
        record.current().request_id,
        check,
        client_socket(),
        key=turn_key(),
        keep_alive_s=keep_alive_s,
    )
    _watch(visit, record.current())
    try:
        while (lease := visit.next()) is None:
            continue
    finally:
        visit.close()
    return lease


def _watch(
    errand: Errand[Any],
    facts: Record,
    prompts: Callable[[], Sequence[msgspec.Struct]] = list,
    sampling: SamplingParams | None = None,
) -> None:
    """Have its record told of what happens to it."""
    facts.timing.asked()
    errand.on_lease = facts.granted
    if services().settings.log_prompts:
        facts.prompt = prompt_log.shown(prompts())
    if facts.trace is not None:
        facts.trace.asked(prompts() if services().settings.log_prompts else (), sampling)


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


def _pieces(
    generation: Generation, maker: _Maker[Any], framing: sse.Framing, sock: QuickSocket | None
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


class _Maker(Generic[BuilderT]):
    """Makes the builder when a lease tells which model answers, and feeds it."""

    def __init__(self, make: Callable[[Head], BuilderT], prefix: str, facts: Record) -> None:
        self._make = make
        self._prefix = prefix
        self.facts = facts
        self.builder: BuilderT | None = None

    def feed(self, event: Event) -> list[bytes]:
        if isinstance(event, Leased):
            self.facts.retried = event.retried
            # After a retry, what the lost engine gave is forgotten with the builder that has it.
            self.builder = self._make(
                Head(
                    id=new_id(self._prefix),
                    created=int(time.time()),
                    model=event.model_id,
                    fingerprint=fingerprint(event.model_id, event.model),
                )
            )
            return []
        builder = self.builder
        assert builder is not None, "engines speak only after the lease"
        match event:
            case PromptTaken(position, tokens, text, first, reading, truncated):
                builder.truncated = truncated
                if self.facts.trace is not None:
                    self.facts.trace.prompt_taken()
                if reading is not None:
                    builder.read_as(reading)
                return builder.started(position, tokens, text, first)
            case Grown(position, delta):
                return self.grow(position, delta)
            case Ended():
                return builder.end()
            case Unsent():
                raise AssertionError("only a stream in the fast lane has it, and writes it itself")

    def grow(self, position: int, delta: TokenDelta) -> list[bytes]:
        """What a delta of the engine adds."""
        self.facts.timing.token(first_sequence=position == 0 and delta.index == 0)
        assert self.builder is not None
        return self.builder.delta(position, delta)

    def headers(self) -> dict[str, str]:
        """What is known of the answer before its body is sent."""
        truncated = self.builder and self.builder.truncated
        if not truncated:
            return {}
        counts = msgspec.structs.asdict(truncated).items()
        return {TRUNCATED_HEADER: ", ".join(f"{name}={count}" for name, count in counts)}

    def note(self, generation: Generation) -> None:
        """Put the counts into the request's record, once the engine is done with it."""
        if self.facts.trace is not None:
            answer_id = None if self.builder is None else self.builder.head.id
            self.facts.trace.left_engine(response_id=answer_id, waited_s=generation.waited_s)
        if self.builder is None:
            return
        tally = self.builder.tally
        self.facts.prompt_tokens = tally.prompt_tokens
        self.facts.completion_tokens = tally.completion_tokens
        self.facts.cached_tokens = tally.cached_tokens
        if tally.finish_reasons:
            reasons = dict.fromkeys(tally.finish_reasons.values())
            self.facts.finish_reason = ",".join(reasons)


def client_socket() -> Any:
    """The connection, where the server shows it: gunicorn, our own for Windows, and werkzeug's."""
    environ = request.environ
    for name in ("gunicorn.socket", "tricorn.socket", "werkzeug.socket"):
        if (sock := environ.get(name)) is not None:
            return sock
    return None
