"""What embeddings, rerank, score and tokenize accept, refuse and hand on."""

from __future__ import annotations

from typing import Any

import pytest

from tricorn.errors import InvalidRequest, UnsupportedParameter
from tricorn.schemas.embeddings import EmbeddingRequest
from tricorn.schemas.ranking import RerankRequest, ScoreRequest
from tricorn.schemas.request import RequestModel
from tricorn.schemas.tokens import DetokenizeRequest, TokenizeChatRequest, TokenizeTextRequest
from tricorn.worker.protocol import TextPrompt, TokenPrompt

BODIES: dict[type[RequestModel], dict[str, Any]] = {
    EmbeddingRequest: {"input": "x"},
    RerankRequest: {"query": "q", "documents": ["d"]},
    ScoreRequest: {"text_1": "a", "text_2": "b"},
    TokenizeTextRequest: {"prompt": "x"},
    DetokenizeRequest: {"tokens": [1]},
}


def parse(kind: type[Any], **fields: Any) -> Any:
    return kind.parse({"model": "m", **BODIES[kind], **fields})[0]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("a", [TextPrompt("a")]),
        (["a", "b"], [TextPrompt("a"), TextPrompt("b")]),
        ([1, 2], [TokenPrompt([1, 2])]),
        ([[1], [2, 3]], [TokenPrompt([1]), TokenPrompt([2, 3])]),
        (["x"] * 2048, [TextPrompt("x")] * 2048),
    ],
    ids=["string", "strings", "tokens", "token arrays", "most"],
)
def test_inputs(value: Any, expected: list[Any]) -> None:
    """A string, strings, token ids, or lists of them; up to OpenAI's limit."""
    assert parse(EmbeddingRequest, input=value).prompts() == expected


@pytest.mark.parametrize(
    ("kind", "fields", "param"),
    [
        (EmbeddingRequest, {"input": None}, "input"),
        (EmbeddingRequest, {"input": ""}, "input"),
        (EmbeddingRequest, {"input": []}, "input"),
        (EmbeddingRequest, {"input": 5}, "input"),
        (EmbeddingRequest, {"input": ["a", ""]}, "input[1]"),
        (EmbeddingRequest, {"input": ["a", [1]]}, "input[1]"),
        (EmbeddingRequest, {"input": [[1], []]}, "input[1]"),
        (EmbeddingRequest, {"input": [[1], "a"]}, "input[1]"),
        (EmbeddingRequest, {"input": [1, -1]}, "input"),
        (EmbeddingRequest, {"input": [True]}, "input"),
        (EmbeddingRequest, {"input": ["x"] * 2049}, "input"),
        (EmbeddingRequest, {"encoding_format": "int8"}, "encoding_format"),
        (EmbeddingRequest, {"dimensions": 0}, "dimensions"),
        (EmbeddingRequest, {"user": 5}, "user"),
        (EmbeddingRequest, {"model": ""}, "model"),
        (RerankRequest, {"query": ""}, "query"),
        (RerankRequest, {"query": None}, "query"),
        (RerankRequest, {"documents": "d"}, "documents"),
        (RerankRequest, {"documents": []}, "documents"),
        (RerankRequest, {"documents": ["d", 5]}, "documents[1]"),
        (RerankRequest, {"documents": ["d", {"text": ""}]}, "documents[1].text"),
        (RerankRequest, {"documents": [{"title": "t"}]}, "documents[0]"),
        (RerankRequest, {"top_n": 0}, "top_n"),
        (RerankRequest, {"return_documents": "yes"}, "return_documents"),
        (ScoreRequest, {"text_1": ["a", "b"]}, "text_1"),
        (ScoreRequest, {"text_2": ["a", 5]}, "text_2[1]"),
        (TokenizeTextRequest, {"prompt": ["a"]}, "prompt"),
        (DetokenizeRequest, {"tokens": [-1]}, "tokens"),
        (DetokenizeRequest, {"tokens": "1"}, "tokens"),
    ],
)
def test_invalid(kind: type[Any], fields: dict[str, Any], param: str) -> None:
    """400 invalid_value that names the field, and the item where there are several."""
    with pytest.raises(InvalidRequest) as caught:
        parse(kind, **fields)
    assert caught.value.param == param


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (EmbeddingRequest, {"truncate_prompt_tokens": 5}),
        (EmbeddingRequest, {"normalize": False}),
        (EmbeddingRequest, {"messages": []}),
        (RerankRequest, {"max_tokens_per_doc": 5}),
        (RerankRequest, {"max_chunks_per_doc": 5}),
        (RerankRequest, {"rank_fields": ["title"]}),
        (ScoreRequest, {"truncate_prompt_tokens": 5}),
    ],
)
def test_not_done(kind: type[Any], fields: dict[str, Any]) -> None:
    """What other servers do with them is not done here, and not ignored either."""
    with pytest.raises(UnsupportedParameter) as caught:
        parse(kind, **fields)
    assert caught.value.param == next(iter(fields))


def test_hints_and_unknown_fields() -> None:
    """`user` asks for nothing that shows; a stranger's field is named."""
    call, unknown = EmbeddingRequest.parse(
        {"model": "m", "input": "x", "user": "u", "input_type": "query", "dimensions": None}
    )
    assert (call.dimensions, unknown) == (None, ["input_type"])
    with pytest.raises(InvalidRequest, match="input_type"):
        EmbeddingRequest.parse({"model": "m", "input": "x", "input_type": "query"}, strict=True)


def test_documents() -> None:
    """Strings and objects with a text, mixed."""
    call = parse(RerankRequest, documents=["a", {"text": "b", "title": "t"}])
    assert call.documents == ["a", "b"]


@pytest.mark.parametrize(
    ("first", "second"), [("a", "b"), ("a", ["b", "c"]), (["a", "d"], ["b", "c"])]
)
def test_texts_to_score(first: Any, second: Any) -> None:
    """One with one, one with many, many with as many."""
    call = parse(ScoreRequest, text_1=first, text_2=second)
    assert isinstance(call.text_1, list)
    assert isinstance(call.text_2, list)


def test_a_chat_to_tokenize_may_be_a_whole_request() -> None:
    """So that a completion's body can be counted as it is."""
    messages = [{"role": "user", "content": "hi"}]
    call, unknown = TokenizeChatRequest.parse(
        {"model": "m", "messages": messages, "max_tokens": 5, "temperature": 0, "stream": True}
    )
    assert (call.add_special_tokens, call.return_token_strs, unknown) == (False, False, [])
