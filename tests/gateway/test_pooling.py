"""Embeddings, rerank, score and the tokenizer's routes, with OpenAI's client where it has them."""

from __future__ import annotations

import base64
import math
import struct
from collections.abc import Callable
from typing import Any

import httpx
import openai
import pytest
from flask import Flask
from tests.gateway.conftest import sdk_for
from tests.gateway.engines import FakeManager

A = [0.0, 1, 0, 0, 0, 0, 0, 0]
B = [0.0, 0, 1, 0, 0, 0, 0, 0]
"""The bytes of "a" and "b" modulo 8."""


def test_embeddings(sdk: openai.OpenAI, manager: FakeManager) -> None:
    """OpenAI's shape, in the order of the inputs; its client asks for base64 by itself."""
    answer = sdk.embeddings.create(model="vectors", input=["a", "b", "ab"])
    assert (answer.object, answer.model) == ("list", "vectors")
    assert [item.index for item in answer.data] == [0, 1, 2]
    assert [item.object for item in answer.data] == ["embedding"] * 3
    assert answer.data[0].embedding == A
    assert answer.data[1].embedding == B
    assert math.hypot(*answer.data[2].embedding) == pytest.approx(1)
    assert (answer.usage.prompt_tokens, answer.usage.total_tokens) == (4, 4)
    assert manager.leased == 0


def test_floats_and_base64_are_the_same(http: httpx.Client) -> None:
    """Numbers as JSON by default, as float32 and little-endian where base64 is asked for."""
    body = {"model": "vectors", "input": "abc"}
    plain = http.post("/v1/embeddings", json=body).json()
    packed = http.post("/v1/embeddings", json={**body, "encoding_format": "base64"}).json()
    (vector,) = [item["embedding"] for item in plain["data"]]
    (text,) = [item["embedding"] for item in packed["data"]]
    assert list(struct.unpack("<8f", base64.b64decode(text))) == vector
    assert {name: plain[name] for name in ("object", "model", "usage")} == {
        name: packed[name] for name in ("object", "model", "usage")
    }


@pytest.mark.parametrize(
    ("value", "vectors"),
    [("a", [A]), ([97], [A]), ([[98], [97, 97]], [B, A]), (["b", "a"] * 1024, [B, A] * 1024)],
    ids=["string", "tokens", "token arrays", "as many as there may be"],
)
def test_inputs(sdk: openai.OpenAI, value: Any, vectors: list[list[float]]) -> None:
    """All forms that OpenAI knows."""
    answer = sdk.embeddings.create(model="vectors", input=value, encoding_format="float")
    assert [item.embedding for item in answer.data] == vectors


def test_dimensions(sdk: openai.OpenAI) -> None:
    """Cut and of length 1 again where the model was trained for it; else only the whole."""
    cut = sdk.embeddings.create(model="cut", input="aabbbbaac" + "ghg", dimensions=3)
    assert len(cut.data[0].embedding) == 3
    assert math.hypot(*cut.data[0].embedding) == pytest.approx(1)
    whole = sdk.embeddings.create(model="vectors", input="a", dimensions=8)
    assert whole.data[0].embedding == A
    for model, dimensions, words in (("vectors", 4, "Matryoshka"), ("cut", 9, "1 to 8")):
        with pytest.raises(openai.BadRequestError, match=words) as caught:
            sdk.embeddings.create(model=model, input="a", dimensions=dimensions)
        assert caught.value.param == "dimensions"


@pytest.mark.parametrize(
    ("path", "model", "fields"),
    [
        ("/v1/embeddings", "echo", {"input": "a"}),
        ("/v1/embeddings", "ranks", {"input": "a"}),
        ("/v1/rerank", "echo", {"query": "a", "documents": ["b"]}),
        ("/v1/score", "echo", {"text_1": "a", "text_2": "b"}),
        ("/v1/chat/completions", "vectors", {"messages": [{"role": "user", "content": "a"}]}),
        ("/v1/completions", "ranks", {"prompt": "a"}),
    ],
)
def test_what_a_model_cannot_do(
    http: httpx.Client, manager: FakeManager, path: str, model: str, fields: dict[str, Any]
) -> None:
    """400 that names `model`, and nothing stays leased."""
    answer = http.post(path, json={"model": model, **fields})
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert (error["param"], error["code"]) == ("model", "unsupported_parameter")
    assert f"'{model}'" in error["message"]
    assert manager.leased == 0


def test_an_input_beyond_the_context(sdk: openai.OpenAI) -> None:
    """400 with the limit, naming which one."""
    with pytest.raises(openai.BadRequestError, match="4096") as caught:
        sdk.embeddings.create(model="vectors", input=["a", "x" * 4097])
    assert (caught.value.code, caught.value.param) == ("context_length_exceeded", "input[1]")


def test_unknown_fields_and_models(http: httpx.Client, make_app: Callable[..., Flask]) -> None:
    """As everywhere: named in a header, refused when strict; 404."""
    body = {"model": "vectors", "input": "a", "input_type": "query", "user": "u"}
    answer = http.post("/v1/embeddings", json=body)
    assert answer.headers["x-tricorn-ignored"] == "input_type"
    with sdk_for(make_app(strict_fields=True)) as strict:
        with pytest.raises(openai.BadRequestError, match="input_type"):
            strict.embeddings.create(model="vectors", input="a", extra_body={"input_type": "query"})
        with pytest.raises(openai.NotFoundError):
            strict.embeddings.create(model="none", input="a")


@pytest.mark.parametrize("path", ["/v1/rerank", "/rerank", "/v2/rerank"])
@pytest.mark.parametrize("model", ["vectors", "ranks"])
def test_rerank(http: httpx.Client, model: str, path: str) -> None:
    """The most relevant first, with the place each had; by a reranker or by cosine."""
    body = {"model": model, "query": "ab", "documents": ["cd", "ab", {"text": "bc"}]}
    answer = http.post(path, json=body).json()
    assert (answer["model"], answer["object"]) == (model, "list")
    assert [result["index"] for result in answer["results"]] == [1, 2, 0]
    scores = [result["relevance_score"] for result in answer["results"]]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] == pytest.approx(1)
    assert scores[2] == 0
    assert "document" not in answer["results"][0]
    assert answer["usage"]["total_tokens"] == answer["usage"]["prompt_tokens"] > 0


def test_rerank_with_documents(http: httpx.Client) -> None:
    """The best few, with their texts."""
    body = {"model": "ranks", "query": "ab", "documents": ["cd", {"text": "ab"}, "bc"]}
    answer = http.post("/rerank", json={**body, "top_n": 2, "return_documents": True}).json()
    assert [result["document"] for result in answer["results"]] == [{"text": "ab"}, {"text": "bc"}]
    more = http.post("/rerank", json={**body, "top_n": 9}).json()
    assert len(more["results"]) == 3


@pytest.mark.parametrize(
    ("first", "second", "scores"),
    [
        ("ab", "ab", [1]),
        ("ab", ["cd", "ab"], [0, 1]),
        (["ab", "cd"], ["ab", "ab"], [1, 0]),
    ],
)
def test_score(http: httpx.Client, first: Any, second: Any, scores: list[float]) -> None:
    """In the order of the request."""
    body = {"model": "ranks", "text_1": first, "text_2": second}
    answer = http.post("/v1/score", json=body).json()
    assert [item["score"] for item in answer["data"]] == scores
    assert [item["index"] for item in answer["data"]] == list(range(len(scores)))
    assert {item["object"] for item in answer["data"]} == {"score"}
    assert answer["usage"]["completion_tokens"] == 0


def test_texts_that_cannot_be_compared_are_named(http: httpx.Client) -> None:
    """As the request's own field."""
    body = {"model": "vectors", "text_1": "a", "text_2": ["b", "x" * 4097]}
    error = http.post("/v1/score", json=body).json()["error"]
    assert (error["code"], error["param"]) == ("context_length_exceeded", "text_2[1]")


@pytest.mark.parametrize("path", ["/tokenize", "/v1/tokenize"])
def test_tokenize_a_prompt(http: httpx.Client, path: str) -> None:
    """vLLM's shape; of any model."""
    answer = http.post(path, json={"model": "vectors", "prompt": "añ"}).json()
    assert answer == {
        "count": 3,
        "max_model_len": 4096,
        "tokens": list("añ".encode()),
        "token_strs": None,
    }
    body = {"model": "echo", "prompt": "ab", "return_token_strs": True}
    assert http.post(path, json=body).json()["token_strs"] == ["a", "b"]


def test_tokenize_a_chat(http: httpx.Client) -> None:
    """As many tokens as its completion will be counted."""
    body = {"model": "echo", "messages": [{"role": "user", "content": "hi"}]}
    tokens = http.post("/tokenize", json=body).json()
    completion = http.post("/v1/chat/completions", json=body).json()
    assert tokens["count"] == completion["usage"]["prompt_tokens"]
    without = http.post("/tokenize", json={**body, "add_generation_prompt": False}).json()
    assert bytes(without["tokens"]) == b"user: hi\n"


@pytest.mark.parametrize("path", ["/detokenize", "/v1/detokenize"])
def test_detokenize(http: httpx.Client, path: str) -> None:
    """And back; a token that there is not is named."""
    answer = http.post(path, json={"model": "echo", "tokens": list(b"hello")})
    assert answer.json() == {"prompt": "hello"}
    refused = http.post(path, json={"model": "echo", "tokens": [104, 999]})
    assert refused.status_code == 400
    assert refused.json()["error"]["param"] == "tokens"


def test_render(http: httpx.Client) -> None:
    """The prompt that a chat completion would send, and its tokens."""
    body = {"model": "echo", "messages": [{"role": "user", "content": "hi"}], "temperature": 0}
    answer = http.post("/v1/chat/completions/render", json=body).json()
    text = "user: hi\nassistant: "
    assert answer == {
        "object": "chat.completion.prompt",
        "model": "echo",
        "prompt": text,
        "prompt_token_ids": list(text.encode()),
        "count": len(text),
        "max_model_len": 4096,
    }
