"""Ollama's `POST /api/chat` and `POST /api/generate`"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from flask import Blueprint, Response

from tricorn.chat.choice import ToolUse
from tricorn.chat.ollama import answers
from tricorn.chat.ollama.times import Stopwatch
from tricorn.gateway import record
from tricorn.gateway.answers import respond, sse
from tricorn.gateway.guard import access
from tricorn.gateway.ollama.checks import must_answer, must_hold
from tricorn.gateway.ollama.names import meant
from tricorn.gateway.orders import pinned
from tricorn.gateway.orders.ordering import ordered
from tricorn.gateway.requests import images
from tricorn.gateway.requests.abilities import must_generate
from tricorn.gateway.requests.generation import Job
from tricorn.gateway.requests.incoming import parse
from tricorn.gateway.services import services
from tricorn.manager.protocol.calls import Granted
from tricorn.schemas.ollama.request import (
    OllamaChat,
    OllamaGenerate,
    OllamaGeneration,
    OllamaRequest,
)

bp = Blueprint("ollama", __name__)


@bp.post("/api/chat")
def chat() -> Response:
    call = parse(OllamaChat, curl=True)
    if call.is_empty():
        return _load(call, answers.message)
    return _answer(call, answers.message, ToolUse(call.offered_tools()), plain=False)


@bp.post("/api/generate")
def generate() -> Response:
    call = parse(OllamaGenerate, curl=True)
    if call.is_empty():
        return _load(call, answers.response)
    return _answer(call, answers.response, ToolUse(), plain=call.is_plain)


def _answer(
    call: OllamaChat | OllamaGenerate, wording: answers.Wording, use: ToolUse, *, plain: bool
) -> Response:
    facts = record.current()
    job = Job(
        meant(call.model),
        facts.request_id,
        [call.engine_prompt(images.load(call.image_urls(), services().settings))],
        call.sampling(),
        check=partial(must_answer, call, plain=plain),
        keep_alive_s=call.keep_alive,
    )
    options: dict[str, Any] = {
        "model": call.model,
        "wording": wording,
        "watch": stopwatch(),
        "logprobs": call.logprobs,
        "use": use,
    }
    if call.stream:
        make = partial(answers.OllamaChunks, **options)
        return respond.stream(job, make, prefix="ollama", framing=sse.OLLAMA)
    return respond.whole(job, partial(answers.OllamaWhole, **options), prefix="ollama")


def stopwatch() -> Stopwatch:
    """Running since the request came."""
    return Stopwatch(int(record.current().began * 1e9))


def _load(call: OllamaGeneration, wording: answers.Wording) -> Response:
    def check(lease: Granted) -> None:
        must_generate(lease)
        must_hold(call, lease)

    reason = load_or_unload(call, check)
    return respond.json(answers.answer(call.model, wording, answers.Said(), done_reason=reason))


def load_or_unload(call: OllamaRequest, check: Callable[[Granted], None]) -> str:
    """What a request with nothing to answer asks for; which of the two it was.

    To load the model before it is needed, or not to keep it. check: as in `respond.visited`.
    """
    model = meant(call.model)
    if call.keep_alive == 0:
        access.must_manage()
        ordered("unload", model=pinned.wanted(model))
        return "unload"
    respond.visited(model, check, call.keep_alive)
    return "load"
