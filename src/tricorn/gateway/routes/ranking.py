"""`POST /v1/rerank` (also without `/v1`, as Cohere and Jina clients ask) and `POST /v1/score`"""

from __future__ import annotations

import time

from flask import Blueprint, Response

from tricorn.chat import pooled
from tricorn.chat.response import new_id
from tricorn.gateway import record
from tricorn.gateway.answers import respond
from tricorn.gateway.requests.abilities import must_compare
from tricorn.gateway.requests.call import Ask
from tricorn.gateway.requests.incoming import parse
from tricorn.schemas.ranking import RerankRequest, ScoreRequest
from tricorn.worker.protocol import Score, Scored

bp = Blueprint("ranking", __name__)


@bp.post("/v1/rerank")
@bp.post("/v2/rerank")
@bp.post("/rerank")
def rerank() -> Response:
    call = parse(RerankRequest)
    model_id, scored = _scores(call.model, [call.query], call.documents, ("query", "documents"))
    return respond.json(
        pooled.reranked(
            new_id("rerank"),
            model_id,
            call.documents,
            scored.scores,
            scored.prompt_tokens,
            top_n=call.top_n,
            with_documents=call.return_documents,
        )
    )


@bp.post("/v1/score")
@bp.post("/score")
def score() -> Response:
    call = parse(ScoreRequest)
    model_id, scored = _scores(call.model, call.text_1, call.text_2, ("text_1", "text_2"))
    return respond.json(
        pooled.scored(
            new_id("score"), int(time.time()), model_id, scored.scores, scored.prompt_tokens
        )
    )


def _scores(
    model: str, queries: list[str], documents: list[str], params: tuple[str, str]
) -> tuple[str, Scored]:
    """The model's id and the documents' scores."""
    facts = record.current()
    answer = respond.answered(
        Ask(
            model,
            facts.request_id,
            lambda number: Score(number, facts.request_id, queries, documents, params),
            must_compare,
        )
    )
    (scored,) = answer.parts
    assert isinstance(scored, Scored)
    facts.prompt_tokens = scored.prompt_tokens
    return answer.model_id, scored
