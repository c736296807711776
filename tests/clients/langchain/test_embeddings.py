"""LangChain's standard tests of embeddings, and what it sends by default."""

from __future__ import annotations

import os
from typing import Any

import openai
import pytest
from langchain_openai import OpenAIEmbeddings
from langchain_tests.integration_tests import EmbeddingsIntegrationTests

EMBEDDER = os.environ["TRICORN_EMBEDDER"]
URL = os.environ["TRICORN_URL"] + "/v1"

pytestmark = pytest.mark.skipif(not EMBEDDER, reason="no model for vectors on this machine")


class TestEmbeddings(EmbeddingsIntegrationTests):
    @property
    def embeddings_class(self) -> type[OpenAIEmbeddings]:
        return OpenAIEmbeddings

    @property
    def embedding_model_params(self) -> dict[str, Any]:
        return {
            "model": EMBEDDER,
            "base_url": URL,
            "api_key": "none",
            "check_embedding_ctx_length": False,  # else it sends ids of OpenAI's own tokenizer
        }


def test_foreign_token_ids_are_refused() -> None:
    """What it sends by default, ids of cl100k_base: 400 that names the input, never vectors of
    something else."""
    with (
        openai.OpenAI(base_url=URL, api_key="none", max_retries=0) as client,
        pytest.raises(openai.BadRequestError) as caught,
    ):
        # "langchain" by cl100k_base; MiniLM has 30522 tokens
        client.embeddings.create(model=EMBEDDER, input=[[5317, 8995], [100257]])
    assert caught.value.param
    assert caught.value.param.startswith("input")
