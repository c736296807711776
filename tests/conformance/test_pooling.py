"""Embeddings and relevance, of engines that can."""

from __future__ import annotations

import math
from operator import mul
from pathlib import Path

import openai
import pytest
from tests.conformance import pooling_models, reference
from tests.conformance.conftest import Served
from tests.conformance.engines import ENGINES

TEXTS = [
    "hello",
    "The river runs through the old town and under the bridge.",
    "A stream flows beneath the bridge of an ancient city.",
    "Übergrößenträger und 世界, naïvely: 3.14 × 2 = 6.28!",
    " ".join(f"Item {number} is in its place." for number in range(25)),
]
QUERY, *DOCUMENTS = TEXTS[:4]


@pytest.fixture(scope="module")
def python() -> Path:
    """Of the environment that computes the reference."""
    if ENGINES["vllm"].missing():
        pytest.skip("the reference is computed in vLLM's environment, which is not installed")
    return ENGINES["vllm"].python


@pytest.fixture(scope="module")
def client(served: Served) -> openai.OpenAI:
    """It waits for models to be loaded."""
    return served.server.sdk(timeout=served.engine.start_s)


def test_embeddings(served: Served, client: openai.OpenAI, python: Path) -> None:
    """Embeddings agree with the reference"""
    if "embed" not in served.engine.pools:
        pytest.skip(f"{served.engine.name} needs a package for it that is not installed")
    many = [TEXTS[number % len(TEXTS)] for number in range(80)]
    answer = client.embeddings.create(model=f"{served.model}-embed", input=many)
    expected = reference.embeddings(python, pooling_models.minilm(python), TEXTS)
    assert [item.index for item in answer.data] == list(range(80))
    for item in answer.data:
        assert math.hypot(*item.embedding) == pytest.approx(1, abs=1e-4)
        cosine = sum(map(mul, item.embedding, expected[item.index % len(TEXTS)]))
        assert cosine >= 0.999
    with pytest.raises(openai.BadRequestError) as caught:
        client.embeddings.create(model=f"{served.model}-embed", input=["a", "word " * 600])
    assert (caught.value.code, caught.value.param) == ("context_length_exceeded", "input[1]")


def test_relevance(served: Served, client: openai.OpenAI, python: Path) -> None:
    """A reranker's scores agree with the reference"""
    if "rank" not in served.engine.pools:
        pytest.skip(f"{served.engine.name} has no rerankers")
    expected = reference.scores(python, pooling_models.cross_encoder(python), QUERY, DOCUMENTS)
    assert max(expected) - min(expected) > 0.1
    body = {"model": f"{served.model}-rank", "query": QUERY, "documents": DOCUMENTS}
    answer = client.post("/rerank", body=body, cast_to=dict)
    found = {result["index"]: result["relevance_score"] for result in answer["results"]}
    assert [found[index] for index in range(len(DOCUMENTS))] == pytest.approx(expected, abs=0.01)
    scores = [result["relevance_score"] for result in answer["results"]]
    assert scores == sorted(scores, reverse=True)


def test_a_chat_model_does_not_pool(served: Served, client: openai.OpenAI) -> None:
    """A model that generates is refused where embeddings are asked for"""
    with pytest.raises(openai.BadRequestError, match="makes no embeddings") as caught:
        client.embeddings.create(model=served.model, input="a")
    assert caught.value.param == "model"
