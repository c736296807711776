"""Ollama's `POST /api/chat` and `POST /api/generate`"""

from __future__ import annotations

from functools import partial
from typing import Any

from flask import Blueprint, Response

from tricorn.chat.choice import ToolUse
from tricorn.chat.ollama import answers
from tricorn.chat.ollama.times import Stopwatch
from tricorn.errors import UnsupportedParameter
from tricorn.gateway import images, record, respond, sse
from tricorn.gateway.abilities import must_generate
from tricorn.gateway.generation import Job
from tricorn.gateway.incoming import parse
from tricorn.gateway.ollama_checks import must_answer, must_hold
from tricorn.gateway.ollama_names import meant
from tricorn.gateway.services import services
from tricorn.manager.protocol import Granted
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
    """Ollama's way to load a model before it is needed: a request with nothing to answer."""
    must_load(call)

    def check(lease: Granted) -> None:
        must_generate(lease)
        must_hold(call, lease)

    respond.visited(meant(call.model), check)
    said = answers.Said()
    return respond.json(answers.answer(call.model, wording, said, done_reason="load"))


def must_load(call: OllamaRequest) -> None:
    """Of a request with nothing to answer."""
    if call.keep_alive == 0:
        raise UnsupportedParameter(
            "'keep_alive': 0 with nothing to answer asks to unload the model, which this version "
            "of Tricorn does by itself when another model needs the place.",
            param="keep_alive",
        )
