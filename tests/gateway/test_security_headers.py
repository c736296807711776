"""Tests of `tricorn.gateway.guard.security_headers`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from flask import Flask

from tricorn.gateway.guard.security_headers import PLAIN

CHAT = "/v1/chat/completions"
BODY: dict[str, Any] = {"model": "echo", "messages": [{"role": "user", "content": "Hi"}]}


@pytest.mark.parametrize("path", ["/health", "/v1/models", "/nope", "/metrics"])
def test_on_every_answer(http: httpx.Client, path: str) -> None:
    """Of errors too."""
    headers = http.get(path).headers
    assert {name: headers[name] for name, _ in PLAIN} == dict(PLAIN)
    assert "Strict-Transport-Security" not in headers


@pytest.mark.parametrize("stream", [False, True])
def test_on_completions(http: httpx.Client, stream: bool) -> None:
    """No cache keeps what was answered, whole or streamed."""
    headers = http.post(CHAT, json=BODY | {"stream": stream}).headers
    assert "no-store" in headers["Cache-Control"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"


def test_what_others_say_stays(make_app: Callable[..., Flask]) -> None:
    """The page of the description has scripts and may be kept; pages of other origins still read
    answers."""
    client = make_app().test_client()
    page = client.get("/docs")
    assert "script-src 'self'" in page.headers["Content-Security-Policy"]
    assert page.headers["Cache-Control"] == "no-cache"
    assert page.headers["X-Content-Type-Options"] == "nosniff"
    answer = client.get("/v1/models", headers={"Origin": "https://a.example"})
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize(
    ("host", "told"),
    [
        ("llm.example.com", True),
        ("llm.example.com:8443", True),
        ("localhost:8000", False),
        ("127.0.0.1", False),
        ("[::1]:8000", False),
    ],
)
def test_https_for_ever(
    make_app: Callable[..., Flask], tmp_path: Path, host: str, told: bool
) -> None:
    """With a certificate, but for names of loopback, which other programs have as well."""
    app = make_app(tls_cert=tmp_path / "cert.pem")
    headers = app.test_client().get("/health", headers={"Host": host}).headers
    assert ("Strict-Transport-Security" in headers) is told
