"""Ollama's API when something is wrong, or is not done, or takes long."""

from __future__ import annotations

import json
from collections.abc import Callable

import httpx
import pytest
from flask import Flask
from tests.gateway.engines import FakeManager, ScriptedWorker
from tests.gateway.ollama.ask import USER, refusal

from tricorn.engines.request import TokenDelta
from tricorn.errors import EngineGenerateError
from tricorn.gateway.answers import sse
from tricorn.worker import protocol as data


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "create"), ("POST", "copy"), ("POST", "push")],
)
def test_what_is_not_done(api: httpx.Client, method: str, path: str) -> None:
    response = api.request(method, f"/{path}", json={"model": "m"})
    assert response.status_code == 400
    assert response.json()["error"].startswith(f"/api/{path} is not supported")


def test_error_shape(api: httpx.Client) -> None:
    """All errors below /api are `{"error": text}`."""
    status, text = refusal(api, "/chat", model="hello", messages=[{"role": "robot"}])
    assert (status, "'messages[0].role'" in text) == (400, True)
    assert api.get("/nothing").json() == {"error": "Unknown request URL: GET /api/nothing."}
    assert list(api.get("/chat").json()) == ["error"]
    assert list(api.post("/chat", content=b"{").json()) == ["error"]


def test_type_of_the_body(api: httpx.Client) -> None:
    """Ollama's examples have curl call it form data. A page in a browser may not."""
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    body = json.dumps({"model": "hello", "messages": USER})
    assert api.post("/chat", content=body, headers=form).status_code == 200
    page = form | {"Origin": "http://elsewhere"}
    assert api.post("/chat", content=body, headers=page).status_code == 415


def test_ignored_fields_are_named(api: httpx.Client) -> None:
    body = {"model": "hello", "messages": USER, "options": {"speed": 1}, "mood": 2}
    response = api.post("/chat", json=body)
    assert response.headers["x-tricorn-ignored"] == "mood, options.speed"


def test_stream_of_a_silent_engine(
    make_app: Callable[..., Flask], scripted: ScriptedWorker
) -> None:
    """White space while nothing comes; a failure is a line that Ollama's clients raise."""
    own = FakeManager({})
    own.add("m", scripted)
    app = make_app(own, sse_keepalive_s=0.05)
    transport = httpx.WSGITransport(app=app)
    with (
        httpx.Client(transport=transport, base_url="http://tricorn") as client,
        client.stream("POST", "/api/generate", json={"model": "m", "prompt": "Hi"}) as answer,
    ):
        pieces = answer.iter_raw()
        assert next(pieces) == b" "
        start = scripted.started()
        scripted.send(data.Started(start.id, 1), data.Delta(start.id, TokenDelta(0, "x", [1])))
        while b'"x"' not in (piece := next(pieces)):
            assert piece == b" "
        scripted.hang_up()
        rest = b"".join(pieces).splitlines()
    assert json.loads(piece)["response"] == "x"
    (last,) = map(json.loads, rest)
    assert list(last) == ["error"]


def test_keep_alive_is_white_space() -> None:
    """It may stand before the next object in the same line, and an error too."""
    line = sse.OLLAMA.keep_alive + sse.OLLAMA.frame([b'{"done":true}'])
    assert json.loads(line.splitlines()[0]) == {"done": True}
    assert sse.OLLAMA.frame([]) == b""
    failed = sse.OLLAMA.keep_alive * 2 + sse.OLLAMA.error(EngineGenerateError("it broke"))
    assert json.loads(failed) == {"error": "it broke"}
