"""From a generation to an HTTP answer: one object, or a stream of events."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import orjson
from flask import Response, request

from tricorn.chat.response import Builder, Head, WholeBuilder
from tricorn.engines.request import SamplingParams
from tricorn.gateway import record
from tricorn.gateway.answers import pieces, sse
from tricorn.gateway.answers.maker import Maker
from tricorn.gateway.answers.pieces import Begun
from tricorn.gateway.guard.caller import turn_key
from tricorn.gateway.record import Record
from tricorn.gateway.requests import fast_lane, prompt_log
from tricorn.gateway.requests.call import Answer, Ask, Call, no_check
from tricorn.gateway.requests.errand import Errand
from tricorn.gateway.requests.generation import Ended, Generation, Job
from tricorn.gateway.requests.visit import Visit
from tricorn.gateway.services import services
from tricorn.manager.protocol.calls import Granted


def json(value: object, status: int = 200) -> Response:
    return Response(orjson.dumps(value), status=status, mimetype="application/json")


def whole(job: Job, make: Callable[[Head], WholeBuilder], *, prefix: str) -> Response:
    """Wait for the whole answer. TricornError or ClientGone when there is none."""
    facts = record.current()
    facts.stream = False
    generation = Generation(services(), job, client_socket(), turn_key())
    _watch(generation, facts, lambda: job.prompts, job.sampling)
    maker = Maker(make, prefix, facts)
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
    maker = Maker(make, prefix, facts)
    rest = pieces.of(generation, maker, framing, fast_lane.socket_for(request.environ))
    begun = Begun(next(rest), rest)
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


def client_socket() -> Any:
    """The connection, where the server shows it: gunicorn, our own for Windows, and werkzeug's."""
    environ = request.environ
    for name in ("gunicorn.socket", "tricorn.socket", "werkzeug.socket"):
        if (sock := environ.get(name)) is not None:
            return sock
    return None
