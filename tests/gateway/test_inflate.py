"""Tests of `tricorn.gateway.requests.inflate`, and of requests with compressed bodies."""

from __future__ import annotations

import gzip
import json
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from flask import Flask

from tricorn.errors import InvalidRequest
from tricorn.gateway.requests.inflate import TooMuch, inflated

CHAT = "/v1/chat/completions"
BODY: dict[str, Any] = {"model": "echo", "messages": [{"role": "user", "content": "Hi"}]}
TEXT = b"some text " * 1000
GZIPPED = gzip.compress(TEXT, mtime=0)


def bits(data: bytes) -> Iterator[bytes]:
    for at in range(0, len(data), 7):
        yield data[at : at + 7]


@pytest.mark.parametrize(
    ("coding", "data"),
    [
        ("gzip", GZIPPED),
        ("x-gzip", GZIPPED),
        ("deflate", zlib.compress(TEXT)),
    ],
)
def test_what_comes_out(coding: str, data: bytes) -> None:
    """However the pieces are cut; a limit that is just kept is kept."""
    assert inflated(bits(data), coding, len(TEXT)) == TEXT
    with pytest.raises(TooMuch):
        inflated(bits(data), coding, len(TEXT) - 1)


def test_a_bomb_is_not_inflated() -> None:
    """What is beyond the limit never comes into memory."""
    bomb = gzip.compress(bytes(50_000_000))
    tracemalloc.start()
    with pytest.raises(TooMuch):
        inflated([bomb], "gzip", 100_000)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 1_000_000


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"no gzip at all", "not valid gzip"),
        (GZIPPED[:-9], "without an end"),
        (b"", "without an end"),
        (GZIPPED + b"more", "Something follows"),
        (GZIPPED + GZIPPED, "Something follows"),
    ],
)
def test_what_is_wrong(data: bytes, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        inflated([data], "gzip", 10**6)


@pytest.mark.parametrize(("coding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)])
def test_a_request(http: httpx.Client, coding: str, pack: Callable[[bytes], bytes]) -> None:
    """A compressed body is answered like any other."""
    answer = http.post(
        CHAT,
        content=pack(json.dumps(BODY).encode()),
        headers={"Content-Type": "application/json", "Content-Encoding": coding},
    )
    assert answer.status_code == 200


def test_a_request_that_is_a_bomb(make_app: Callable[..., Flask]) -> None:
    """413, by the size that it would have."""
    app = make_app(max_body_bytes=100_000)
    answer = app.test_client().post(
        CHAT,
        data=gzip.compress(bytes(10_000_000)),
        headers={"Content-Type": "application/json", "Content-Encoding": "gzip"},
    )
    assert answer.status_code == 413
    assert answer.get_json()["error"]["code"] == "body_too_large"
