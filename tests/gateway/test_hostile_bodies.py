"""Bodies made to hurt: every route that takes one says 4xx in words, and nothing falls over."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import product
from typing import Any

import httpx
import pytest
from flask import Flask

CHAT = "/v1/chat/completions"
USER = {"role": "user", "content": "Hi"}

BASES: dict[str, dict[str, Any]] = {
    CHAT: {"model": "bound", "messages": [USER], "max_tokens": 1},
    "/v1/chat/completions/render": {"model": "bound", "messages": [USER]},
    "/v1/completions": {"model": "bound", "prompt": "Hi", "max_tokens": 1},
    "/v1/responses": {"model": "bound", "input": "Hi", "max_output_tokens": 16, "store": False},
    "/v1/responses/input_tokens": {"model": "bound", "input": "Hi"},
    "/v1/messages": {"model": "bound", "messages": [USER], "max_tokens": 1},
    "/v1/messages/count_tokens": {"model": "bound", "messages": [USER]},
    "/v1/embeddings": {"model": "vectors", "input": "Hi"},
    "/v1/rerank": {"model": "ranks", "query": "Hi", "documents": ["a"]},
    "/v1/score": {"model": "ranks", "text_1": "Hi", "text_2": "a"},
    "/tokenize": {"model": "bound", "prompt": "Hi"},
    "/detokenize": {"model": "bound", "tokens": [65]},
    "/api/chat": {"model": "bound", "messages": [USER], "options": {"num_predict": 1}},
    "/api/generate": {"model": "bound", "prompt": "Hi", "options": {"num_predict": 1}},
    "/api/embed": {"model": "vectors", "input": "Hi"},
    "/api/embeddings": {"model": "vectors", "prompt": "Hi"},
    "/api/show": {"model": "bound"},
    "/v1/models/load": {"model": "bound"},
    "/instances": {"model": "bound"},
    "/admin/keys": {"name": "a"},
    "/v1/admin/log-level": {"level": "INFO"},
}
RAW = {
    "100,000 arrays": b"[" * 100_000,
    "100,000 objects": b'{"a":' * 100_000,
    "deep within a field": b'{"model": "bound", "messages": ' + b"[" * 100_000,
    "deep and closed": b'{"model": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "invalid UTF-8": b'{"model": "\xff\xfe"}',
    "a lone surrogate": b'{"model": "\\ud800"}',
    "a surrogate's bytes": b'{"model": "\xed\xa0\x80"}',
    "NaN": b'{"model": NaN}',
    "Infinity": b'{"model": "bound", "temperature": Infinity}',
    "an endless number": b'{"model": ' + b"9" * 100_000 + b"}",
    "nothing but NUL": b"\0" * 1000,
    "UTF-16": json.dumps({"model": "bound"}).encode("utf-16"),
    "more after the end": b'{"model": "bound"} {"model": "bound"}',
}
TALL: Any = "x"
for _ in range(900):
    TALL = [TALL]
VALUES: dict[str, Any] = {
    "a number beyond 64 bits": 10**30,
    "a negative one": -(10**30),
    "a huge number": 1e308,
    "NUL": "\0",
    "a long text": "x" * 100_000,
    "controls": "\x1b[31m\r\nSet-Cookie: a=b\u2028\u202e",
    "an empty text": "",
    "nested arrays": TALL,
    "nested objects": {"a": TALL},
    "many items": [{}] * 2_000,
    "true": True,
    "a path": "../../../../etc/passwd",
}


def test_what_is_no_json_object_is_refused(http: httpx.Client) -> None:
    """With 400, in words; reading never recurses beyond what the parser allows."""
    for path, (name, content) in product(BASES, RAW.items()):
        answer = http.post(path, content=content, headers={"Content-Type": "application/json"})
        assert 400 <= answer.status_code < 500, (path, name, answer.text[:300])
        assert len(answer.content) < 2000, (path, name)


def test_odd_values_in_any_field(http: httpx.Client) -> None:
    """Every field that the route knows from here, and some that it does not: no 5xx but for what
    stands behind the gateway, and no refusal that repeats all that was sent."""
    others = ["user", "metadata", "stop", "tools", "logit_bias", "odd"]
    for path, base in BASES.items():
        for field, (name, value) in product([*base, *others], VALUES.items()):
            answer = http.post(path, json=base | {field: value})
            assert answer.status_code < 500, (path, field, name, answer.text[:500])
            if answer.status_code >= 400:
                assert len(answer.content) < 5000, (path, field, name)


def test_the_last_of_equal_names_counts(http: httpx.Client) -> None:
    """As everywhere in Python: what was checked is what is used."""
    content = b'{"model": "none", "model": "bound", "max_tokens": 1, "messages": [{"role": "user", '
    content += b'"content": 1, "content": "Hi"}]}'
    answer = http.post(CHAT, content=content, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["model"]) == (200, "bound")


@pytest.mark.parametrize(
    ("path", "field"),
    [
        (CHAT, "messages"),
        ("/v1/messages", "messages"),
        ("/api/chat", "messages"),
        ("/v1/responses", "input"),
        ("/tokenize", "messages"),
    ],
)
def test_messages_are_counted(make_app: Callable[..., Flask], path: str, field: str) -> None:
    """And what they consist of; before anything else looks at them."""
    app = make_app(max_messages=3)
    part = {"type": "text", "text": "a"}
    transport: Any = httpx.WSGITransport(app=app)
    with httpx.Client(transport=transport, base_url="http://tricorn") as client:
        for messages, words in (
            ([USER] * 4, "at most 3 messages"),
            ([{"role": "user", "content": [part] * 31}], "31 parts"),
            ([{"role": "assistant", "tool_calls": [{}] * 31}], "31 parts"),
        ):
            answer = client.post(path, json={"model": "bound", field: messages})
            assert answer.status_code == 400
            error = answer.json()["error"]
            assert words in (error if isinstance(error, str) else error["message"])


def test_token_ids_are_no_messages(make_app: Callable[..., Flask]) -> None:
    """An `input` of many numbers is one text."""
    transport: Any = httpx.WSGITransport(app=make_app(max_messages=3))
    with httpx.Client(transport=transport, base_url="http://tricorn") as client:
        answer = client.post("/v1/embeddings", json={"model": "vectors", "input": [65] * 9})
        assert answer.status_code == 200
