"""Ollama's `POST /api/embed`, and `POST /api/embeddings`, its older form"""

from __future__ import annotations

from flask import Blueprint, Response

from tricorn.chat.ollama import vectors
from tricorn.chat.ollama.times import Stopwatch
from tricorn.gateway import record
from tricorn.gateway.answers import respond
from tricorn.gateway.ollama.checks import must_hold
from tricorn.gateway.ollama.names import meant
from tricorn.gateway.requests.abilities import must_cut, must_embed
from tricorn.gateway.requests.call import Ask
from tricorn.gateway.requests.incoming import parse
from tricorn.gateway.routes.ollama import load_or_unload, stopwatch
from tricorn.manager.protocol.calls import Granted
from tricorn.schemas.ollama.models import OllamaEmbed, OllamaEmbeddings
from tricorn.schemas.ollama.request import OllamaRequest
from tricorn.worker.protocol import Embed, TextPrompt, TokenPrompt, Vectors

bp = Blueprint("ollama_embed", __name__)


@bp.post("/api/embed")
def embed() -> Response:
    call = parse(OllamaEmbed, curl=True)
    if call.input is None:
        _load(call)
        return respond.json({"model": call.model, "embeddings": []})
    watch = stopwatch()
    found = _vectors(call, call.input, call.dimensions or None, watch)
    tokens = record.current().prompt_tokens or 0
    body = vectors.embeddings(call.model, found, tokens, watch)
    return Response(b"".join(body), mimetype="application/json")


@bp.post("/api/embeddings")
def embeddings() -> Response:
    call = parse(OllamaEmbeddings, curl=True)
    if not call.prompt:
        _load(call)
        return respond.json({"embedding": []})
    (vector,) = _vectors(call, [call.prompt], None, stopwatch())
    return respond.json({"embedding": vectors.numbers(vector)})


def _vectors(
    call: OllamaRequest, texts: list[str], dimensions: int | None, watch: Stopwatch
) -> list[bytes]:
    facts = record.current()
    prompts: list[TextPrompt | TokenPrompt] = [TextPrompt(text) for text in texts]

    def check(lease: Granted) -> None:
        watch.lease()
        must_embed(lease)
        must_hold(call, lease)
        if dimensions is not None:
            must_cut(lease, dimensions)

    answer = respond.answered(
        Ask(
            meant(call.model),
            facts.request_id,
            lambda number: Embed(number, facts.request_id, prompts, dimensions),
            check,
            call.keep_alive,
        )
    )
    parts = [part for part in answer.parts if isinstance(part, Vectors)]
    facts.prompt_tokens = sum(part.prompt_tokens for part in parts)
    return [vector for part in parts for vector in part.vectors]


def _load(call: OllamaRequest) -> None:
    def check(lease: Granted) -> None:
        must_embed(lease)
        must_hold(call, lease)

    load_or_unload(call, check)
