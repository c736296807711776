"""`POST /v1/embeddings`"""

from __future__ import annotations

from flask import Blueprint, Response

from tricorn.chat import pooled
from tricorn.gateway import record
from tricorn.gateway.answers import respond
from tricorn.gateway.requests.abilities import must_cut, must_embed
from tricorn.gateway.requests.call import Ask
from tricorn.gateway.requests.incoming import parse
from tricorn.manager.protocol.calls import Granted
from tricorn.schemas.embeddings import EmbeddingRequest
from tricorn.worker.protocol import Embed, Vectors

bp = Blueprint("embeddings", __name__)


@bp.post("/v1/embeddings")
def create() -> Response:
    call = parse(EmbeddingRequest)
    facts = record.current()
    prompts = call.prompts()

    def check(lease: Granted) -> None:
        must_embed(lease)
        if call.dimensions is not None:
            must_cut(lease, call.dimensions)

    answer = respond.answered(
        Ask(
            call.model,
            facts.request_id,
            lambda number: Embed(number, facts.request_id, prompts, call.dimensions),
            check,
            call.keep_alive,
        )
    )
    parts = [part for part in answer.parts if isinstance(part, Vectors)]
    facts.prompt_tokens = sum(part.prompt_tokens for part in parts)
    body = pooled.embeddings(
        answer.model_id,
        [vector for part in parts for vector in part.vectors],
        facts.prompt_tokens,
        as_base64=call.encoding_format == "base64",
    )
    return Response(b"".join(body), mimetype="application/json")
