"""Anthropic's Messages API when something is wrong: by status, by name, in a stream."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from flask import Flask
from tests.gateway.anthropic.ask import MESSAGES, body, client_of, events, failed
from tests.gateway.engines import FakeManager, ScriptedWorker

from tricorn.engines.request import TokenDelta
from tricorn.errors import EngineGenerateError, Overloaded
from tricorn.gateway.app import create_app
from tricorn.settings.config import Settings
from tricorn.worker.protocol import Delta, Failed, Finished, Started


@pytest.mark.parametrize(
    ("fields", "status", "kind", "param", "code"),
    [
        ({"max_tokens": None}, 400, "invalid_request_error", "max_tokens", "invalid_value"),
        ({"model": "nope"}, 404, "not_found_error", "model", "model_not_found"),
        ({"container": "x"}, 400, "invalid_request_error", "container", "unsupported_parameter"),
        ({"model": "vectors"}, 400, "invalid_request_error", "model", "unsupported_parameter"),
        (
            {"messages": [{"role": "user", "content": "x" * 5000}]},
            400,
            "invalid_request_error",
            "messages",
            "context_length_exceeded",
        ),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_errors(
    http: httpx.Client,
    fields: dict[str, Any],
    status: int,
    kind: str,
    param: str,
    code: str,
    stream: bool,
) -> None:
    """Anthropic's envelope and types, with what OpenAI's envelope tells."""
    found, error = failed(http, stream=stream, **fields)
    assert (found, error["type"]) == (status, kind)
    assert (error["param"], error["code"]) == (param, code)
    if code == "context_length_exceeded":
        assert error["message"].startswith("prompt is too long")


def test_what_is_no_request(http: httpx.Client) -> None:
    """A wrong method, an unknown path below and a bad body have the family's envelope."""
    for answer, status, kind in (
        (http.get("/v1/messages"), 405, "invalid_request_error"),
        (http.post("/v1/messages/batches", json={}), 404, "not_found_error"),
        (http.post("/v1/messages", content=b"{"), 400, "invalid_request_error"),
    ):
        assert (answer.status_code, answer.json()["error"]["type"]) == (status, kind)


def test_a_body_over_the_limit(manager: FakeManager, tmp_path: Path) -> None:
    """413 has a type of its own."""
    own = create_app(Settings(run_dir=tmp_path, data_dir=tmp_path, max_body_bytes=1024), manager)
    with client_of(own) as http:
        answer = http.post(MESSAGES, json=body("echo", system="x" * 2000))
    assert (answer.status_code, answer.json()["error"]["type"]) == (413, "request_too_large")


def test_too_much_to_do(make_app: Callable[..., Flask]) -> None:
    """503 is an overloaded_error, with the time to wait."""
    busy = FakeManager({"busy": {}})

    def refuse(model: str, request_id: str, inbox: Any, **asked: Any) -> int:
        inbox.put(Overloaded("Too many requests wait.", retry_after_s=7))
        return 1

    busy.acquire = refuse  # type: ignore[method-assign]
    with client_of(make_app(busy)) as http:
        answer = http.post(MESSAGES, json=body("busy"))
    assert (answer.status_code, answer.json()["error"]["type"]) == (503, "overloaded_error")
    assert answer.headers["retry-after"] == "7"


def test_a_stream_that_fails(make_app: Callable[..., Flask], scripted: ScriptedWorker) -> None:
    """An error event with the request's id ends it; no message_stop."""
    fake = FakeManager({})
    fake.add("scripted", scripted)

    def answer_it() -> None:
        number = scripted.started().id
        scripted.send(Started(number, 5), Delta(number, TokenDelta(0, "a", [1])))
        begun.wait(5)
        scripted.send(Failed(number, EngineGenerateError("The engine gave up.").info()))

    begun = threading.Event()
    with client_of(make_app(fake)) as http:
        found = _while(http, answer_it, begun.set)
    assert found[0]["type"] == "message_start"
    assert found[-1]["type"] == "error"
    assert found[-1]["error"]["type"] == "api_error"
    assert found[-1]["error"]["message"] == "The engine gave up."
    assert found[-1]["request_id"].startswith("req_")


def test_a_stream_that_is_silent(make_app: Callable[..., Flask], scripted: ScriptedWorker) -> None:
    """Pings keep the connection alive, also before the message starts."""
    fake = FakeManager({})
    fake.add("scripted", scripted)
    fake.held = held = queue.SimpleQueue()

    def answer_it() -> None:
        model, inbox, call = held.get(timeout=5)
        first_ping.wait(5)
        fake.grant(model, inbox, call)
        number = scripted.started().id
        delta = msgspec.structs.replace(TokenDelta(0, "a", [1]), finish_reason="stop")
        scripted.send(Started(number, 5), Delta(number, delta), Finished(number))

    first_ping = threading.Event()
    with client_of(make_app(fake, sse_keepalive_s=0.05)) as http:
        found = _while(http, answer_it, first_ping.set)
    kinds = [event["type"] for event in found]
    assert kinds[0] == "ping"
    assert kinds[-1] == "message_stop"
    assert found[0] == {"type": "ping"}


def _while(
    http: httpx.Client, answer_it: Callable[[], None], seen: Callable[[], None] = lambda: None
) -> list[dict[str, Any]]:
    """The events of a stream that `answer_it`, in a thread, makes; seen: told of each piece."""
    thread = threading.Thread(target=answer_it, daemon=True)
    thread.start()
    text = ""
    with http.stream("POST", MESSAGES, json=body("scripted", stream=True)) as answer:
        for piece in answer.iter_text():
            seen()
            text += piece
    thread.join(5)
    return events(text)
