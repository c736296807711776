"""Answers made of vectors and scores, in the shapes of OpenAI, Cohere, Jina and vLLM."""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator, Sequence
from typing import Any

import orjson


def embeddings(
    model: str, vectors: Sequence[bytes], prompt_tokens: int, *, as_base64: bool
) -> Iterator[bytes]:
    """The JSON of OpenAI's embedding list, piece by piece, as it can be large.

    vectors: packed, float32 and little-endian, in the order of the inputs.
    """
    yield b'{"object":"list","data":['
    for index, vector in enumerate(vectors):
        item = {
            "object": "embedding",
            "index": index,
            "embedding": (
                base64.b64encode(vector).decode()
                if as_base64
                else struct.unpack(f"<{len(vector) // 4}f", vector)
            ),
        }
        yield (b"," if index else b"") + orjson.dumps(item)
    yield b'],"model":' + orjson.dumps(model) + b',"usage":'
    yield orjson.dumps(usage(prompt_tokens)) + b"}"


def usage(prompt_tokens: int) -> dict[str, int]:
    return {"prompt_tokens": prompt_tokens, "total_tokens": prompt_tokens}


def reranked(
    answer_id: str,
    model: str,
    documents: Sequence[str],
    scores: Sequence[float],
    prompt_tokens: int,
    *,
    top_n: int | None,
    with_documents: bool,
) -> dict[str, Any]:
    """The most relevant first; among equals, in the order of the request."""
    order = sorted(range(len(scores)), key=lambda index: -scores[index])[:top_n]
    results = [
        {
            "index": index,
            "relevance_score": scores[index],
            **({"document": {"text": documents[index]}} if with_documents else {}),
        }
        for index in order
    ]
    return {
        "id": answer_id,
        "object": "list",
        "model": model,
        "results": results,
        "usage": usage(prompt_tokens),
    }


def scored(
    answer_id: str, created: int, model: str, scores: Sequence[float], prompt_tokens: int
) -> dict[str, Any]:
    return {
        "id": answer_id,
        "object": "list",
        "created": created,
        "model": model,
        "data": [
            {"index": index, "object": "score", "score": score}
            for index, score in enumerate(scores)
        ],
        "usage": usage(prompt_tokens) | {"completion_tokens": 0},
    }
