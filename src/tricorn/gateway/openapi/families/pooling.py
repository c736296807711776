"""Embeddings, rerank and score"""

from __future__ import annotations

from tricorn.gateway.openapi.answers import pooled
from tricorn.gateway.openapi.failures import MODEL as ERRORS
from tricorn.gateway.openapi.operation import MODEL, Family, Operation, json
from tricorn.schemas.embeddings import EmbeddingRequest
from tricorn.schemas.ranking import RerankRequest, ScoreRequest

_DOCUMENTS = ["Paris is in France.", "Rome is in Italy."]


def _rerank(path: str, name: str) -> Operation:
    return Operation(
        "post",
        path,
        name,
        "Put documents into the order of their relevance",
        about="In the shape of Cohere's and Jina's APIs.",
        body=(RerankRequest,),
        examples={
            "two documents": {
                "model": MODEL,
                "query": "Where is Rome?",
                "documents": _DOCUMENTS,
                "return_documents": True,
            }
        },
        answers=(json(pooled.Reranked),),
        errors=ERRORS,
    )


def _score(path: str, name: str) -> Operation:
    return Operation(
        "post",
        path,
        name,
        "How much texts have to do with each other",
        about="In vLLM's shape.",
        body=(ScoreRequest,),
        examples={
            "one with two": {"model": MODEL, "text_1": "Where is Rome?", "text_2": _DOCUMENTS}
        },
        answers=(json(pooled.ScoreList),),
        errors=ERRORS,
    )


FAMILY = Family(
    "Embeddings and ranking",
    "Vectors of texts, and how relevant texts are.",
    (
        Operation(
            "post",
            "/v1/embeddings",
            "createEmbedding",
            "Vectors of texts",
            body=(EmbeddingRequest,),
            examples={"two texts": {"model": MODEL, "input": _DOCUMENTS}},
            answers=(json(pooled.EmbeddingList),),
            errors=ERRORS,
        ),
        _rerank("/v1/rerank", "rerank"),
        _rerank("/v2/rerank", "rerankV2"),
        _rerank("/rerank", "rerankAtRoot"),
        _score("/v1/score", "score"),
        _score("/score", "scoreAtRoot"),
    ),
)
