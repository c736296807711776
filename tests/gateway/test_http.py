"""What clients see beside the answers: errors, headers, methods, bodies, CORS, the log line."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import httpx
import msgspec
import pytest
import structlog
from flask import Flask
from tests.gateway.engines import FakeManager, ScriptedWorker

from tricorn.engines.request import TokenDelta
from tricorn.errors import Overloaded
from tricorn.manager.protocol.news import Snapshot
from tricorn.worker.protocol import Delta, Finished, Started

CHAT = "/v1/chat/completions"
BODY: dict[str, Any] = {"model": "echo", "messages": [{"role": "user", "content": "Hi"}]}


def client(app: Flask) -> httpx.Client:
    return httpx.Client(
        transport=httpx.WSGITransport(app=app, raise_app_exceptions=False),  # type: ignore[arg-type]
        base_url="http://tricorn",
    )


@pytest.mark.parametrize(
    ("content", "headers", "status", "words"),
    [
        (b"{", {}, 400, "not valid JSON"),
        (b"", {}, 400, "empty"),
        (b"[1]", {}, 400, "must be a JSON object"),
        (b'"x"', {}, 400, "must be a JSON object"),
        (b'{"model": NaN}', {}, 400, "not valid JSON"),
        (b"[" * 2000 + b"]" * 2000, {}, 400, "not valid JSON"),
        (b"{}", {"Content-Type": "text/plain"}, 415, "text/plain"),
        (b"{}", {"Content-Type": "application/x-www-form-urlencoded"}, 415, "application/json"),
        (b"{}", {"Content-Type": "application/json; charset=latin-1"}, 415, "latin-1"),
        (b"{}", {"Content-Encoding": "zstd"}, 415, "zstd"),
        (b"{}", {"Content-Encoding": "gzip, gzip"}, 415, "gzip, gzip"),
        (b"{}", {"Content-Encoding": "gzip"}, 400, "gzip"),
        (b"{}", {}, 400, "'model'"),
    ],
)
def test_bad_bodies(
    http: httpx.Client, content: bytes, headers: dict[str, str], status: int, words: str
) -> None:
    """What is wrong with a body is said in OpenAI's envelope, with its own status."""
    answer = http.post(
        CHAT, content=content, headers={"Content-Type": "application/json"} | headers
    )
    assert answer.status_code == status
    error = answer.json()["error"]
    assert words in error["message"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"


def test_body_over_the_limit(make_app: Callable[..., Flask]) -> None:
    """413 for a length above the limit."""
    with client(make_app(max_body_bytes=2000)) as http:
        answer = http.post(CHAT, json={"model": "x" * 3000})
    assert answer.status_code == 413
    assert answer.json()["error"]["code"] == "body_too_large"


@pytest.mark.parametrize("path", ["/nope", "/v1/nope", "/v1/chat", "//v1/models"])
def test_unknown_paths(http: httpx.Client, path: str) -> None:
    """JSON 404."""
    answer = http.get(path)
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "not_found"
    assert answer.json()["error"]["param"] is None


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", CHAT, "POST"),
        ("DELETE", "/v1/models", "GET"),
        ("POST", "/v1/models/echo", "GET"),
        ("PUT", "/health/", "GET"),
    ],
)
def test_wrong_methods(http: httpx.Client, method: str, path: str, allowed: str) -> None:
    """JSON 405 with Allow."""
    answer = http.request(method, path)
    assert answer.status_code == 405
    assert answer.json()["error"]["code"] == "method_not_allowed"
    assert allowed in answer.headers["Allow"]


@pytest.mark.parametrize("path", ["/", "/health", "/ready", "/v1/models", "/v1/models/echo"])
def test_get_and_head_and_trailing_slash(http: httpx.Client, path: str) -> None:
    """GET answers JSON, HEAD the same without a body, and a trailing slash changes nothing."""
    answer = http.get(path)
    assert answer.status_code == 200
    assert http.get(path.rstrip("/") + "/").json() == answer.json()
    head = http.head(path)
    assert (head.status_code, head.content) == (200, b"")


def test_post_with_trailing_slash(http: httpx.Client) -> None:
    """A POST is answered, not redirected."""
    assert http.post(CHAT + "/", json=BODY).status_code == 200


def test_request_id(http: httpx.Client) -> None:
    """Echoed when sane, made when not."""
    assert http.get("/", headers={"x-request-id": "abc 1"}).headers["x-request-id"] == "abc 1"
    for bad in ("x" * 129, "a\tb", ""):
        made = http.get("/", headers={"x-request-id": bad})
        assert made.headers["x-request-id"].startswith("req_")
    assert http.get("/nope").headers["x-request-id"].startswith("req_")


def test_unknown_fields_are_named(http: httpx.Client) -> None:
    """Accepted, and named in the header; one that would break a header is escaped."""
    answer = http.post(CHAT, json=BODY | {"foo": 1, "bar": 2, "a\nb, c\u4e16": 3})
    assert answer.status_code == 200
    assert answer.headers["x-tricorn-ignored"] == "foo, bar, a\\nb  c\\u4e16"
    assert "x-tricorn-ignored" not in http.post(CHAT, json=BODY | {"foo": None}).headers


def test_strict_fields(make_app: Callable[..., Flask]) -> None:
    """STRICT_FIELDS answers 400 that names the field."""
    with client(make_app(strict_fields=True)) as http:
        answer = http.post(CHAT, json=BODY | {"foo": 1})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "foo"


def test_cors(make_app: Callable[..., Flask]) -> None:
    """Preflight is 204; allowed origins can read answers, errors too; others cannot."""
    with client(make_app(cors_origins=["https://a.example"])) as http:
        ask = {
            "Origin": "https://a.example",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization, x-stainless-os",
        }
        preflight = http.options(CHAT, headers=ask)
        assert preflight.status_code == 204
        assert preflight.headers["Access-Control-Allow-Origin"] == "https://a.example"
        assert (
            preflight.headers["Access-Control-Allow-Headers"]
            == ask["Access-Control-Request-Headers"]
        )
        assert "POST" in preflight.headers["Access-Control-Allow-Methods"]
        error = http.get("/nope", headers={"Origin": "https://a.example"})
        assert error.headers["Access-Control-Allow-Origin"] == "https://a.example"
        other = http.get("/", headers={"Origin": "https://b.example"})
        assert "Access-Control-Allow-Origin" not in other.headers
    with client(make_app()) as http:
        anyone = http.get("/", headers={"Origin": "https://b.example"})
        assert anyone.headers["Access-Control-Allow-Origin"] == "*"


def test_ready_tells_why_not(http: httpx.Client, make_app: Callable[..., Flask]) -> None:
    """503 with the reason, for a manager that loads and for one that is gone."""
    own = FakeManager({})
    with client(make_app(own)) as http:
        own.ready = False
        answer = http.get("/ready")
        assert (answer.status_code, answer.json()["reason"]) == (503, "loading")
        own.connected = False
        assert http.get("/ready").status_code == 503
        assert http.get("/health").status_code == 200
        models = http.get("/v1/models")
        assert models.status_code == 503
        assert models.headers["Retry-After"] == "1"
        assert models.json()["error"]["code"] == "manager_unavailable"


def test_an_overloaded_manager_is_503_with_retry_after(make_app: Callable[..., Flask]) -> None:
    """The manager's refusal keeps its code, and tells when to come back."""

    class Full(FakeManager):
        def acquire(self, model: str, request_id: str, inbox: Any, **asked: Any) -> int:
            inbox.put(Overloaded("the queue is full", retry_after_s=2.5))
            return 1

    with client(make_app(Full({"echo": {}}))) as http:
        answer = http.post(CHAT, json=BODY | {"stream": True})
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "3"
    assert answer.json()["error"]["code"] == "overloaded"


def test_an_unexpected_failure_is_500(make_app: Callable[..., Flask]) -> None:
    """Without the details, which are in the log."""

    class Broken(FakeManager):
        def acquire(self, model: str, request_id: str, inbox: Any, **asked: Any) -> int:
            raise ZeroDivisionError("secret detail")

    with client(make_app(Broken({"echo": {}}))) as http:
        answer = http.post(CHAT, json=BODY)
    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "internal_error"
    assert "secret" not in answer.text


def test_stream_of_a_silent_engine(
    make_app: Callable[..., Flask], scripted: ScriptedWorker
) -> None:
    """After sse_keepalive_s without a token the 200 goes out with a comment; later failures are
    an error event, without [DONE]."""
    own = FakeManager({})
    own.add("m", scripted)
    app = make_app(own, sse_keepalive_s=0.05)
    body = BODY | {"model": "m", "stream": True}
    with client(app) as http, http.stream("POST", CHAT, json=body) as answer:
        pieces = answer.iter_raw()
        assert answer.status_code == 200
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        assert next(pieces) == b": keep-alive\n\n"
        start = scripted.started()
        scripted.send(Started(start.id, 1), Delta(start.id, TokenDelta(0, "x", [1])))
        while b'"x"' not in (piece := next(pieces)):
            assert piece == b": keep-alive\n\n"
        scripted.hang_up()
        rest = b"".join(pieces)
    assert b'data: {"error":{"message":' in rest
    assert b'"code":"engine_lost"' in rest
    assert b"[DONE]" not in rest


def test_a_retry_restarts_the_answer(
    make_app: Callable[..., Flask], scripted: ScriptedWorker
) -> None:
    """A whole answer holds nothing of what the lost engine had given."""

    class Same(FakeManager):
        def release(self, lease: int, *, lost: bool = False, **tokens: int) -> None:
            self._leases.pop(lease)

    own = Same({})
    own.add("m", scripted)

    def play() -> None:
        start = scripted.started()
        scripted.send(Started(start.id, 1), Delta(start.id, TokenDelta(0, "lost", [1])))
        scripted.hang_up()
        start = scripted.started()
        scripted.send(
            Started(start.id, 1),
            Delta(start.id, TokenDelta(0, "kept", [1], "stop")),
            Finished(start.id),
        )

    player = threading.Thread(target=play)
    player.start()
    with client(make_app(own)) as http:
        answer = http.post(CHAT, json=BODY | {"model": "m"}).json()
    player.join()
    assert answer["choices"][0]["message"]["content"] == "kept"
    assert answer["usage"]["completion_tokens"] == 1


def test_a_model_that_failed_stays_listed(
    make_app: Callable[..., Flask],
) -> None:
    """It is loaded again; one that nobody can load is for nobody's pick list."""

    class Troubled(FakeManager):
        def snapshot(self) -> Snapshot | None:
            whole = super().snapshot()
            assert whole is not None
            failed, broken = (
                msgspec.structs.replace(whole.models[0], id=name, state="FAILED", **trouble)
                for name, trouble in (
                    ("failed", {"failure": "it crashed"}),
                    ("broken", {"fault": "no GGUF"}),
                )
            )
            return msgspec.structs.replace(whole, models=[failed, broken])

    with client(make_app(Troubled({"m": {}}))) as http:
        [listed] = http.get("/v1/models").json()["data"]
        assert (listed["id"], listed["tricorn"]["fault"]) == ("failed", "it crashed")
        assert http.get("/v1/models/broken").json()["tricorn"]["fault"] == "no GGUF"
        assert "There are: failed." in http.get("/v1/models/other").json()["error"]["message"]


def test_probes_are_not_logged_as_trouble(make_app: Callable[..., Flask]) -> None:
    """/ready may say 503 every few seconds while a model loads."""
    manager = FakeManager({})
    manager.ready = False
    with client(make_app(manager)) as http, structlog.testing.capture_logs() as lines:
        assert http.get("/ready").status_code == 503
    assert [line["log_level"] for line in lines if line["event"] == "request"] == ["debug"]


def test_log_line_of_a_refusal(http: httpx.Client) -> None:
    """The field that was wrong, not what was in it."""
    with structlog.testing.capture_logs() as lines:
        http.post(CHAT, json=BODY | {"temperature": 7})
    [line] = [line for line in lines if line["event"] == "request"]
    assert (line["status"], line["param"]) == (400, "temperature")


def test_log_line(http: httpx.Client) -> None:
    """One line a request with its facts; never what was said."""
    with structlog.testing.capture_logs() as lines:
        http.post(CHAT, json=BODY | {"foo": 1, "stream": True}, headers={"x-request-id": "r1"})
    [line] = [line for line in lines if line["event"] == "request"]
    assert line["request_id"] == "r1"
    assert line["model"] == "echo"
    assert line["status"] == 200
    assert line["completion_tokens"] == 3
    assert line["finish_reason"] == "stop"
    assert line["ignored"] == ["foo"]
    assert {"prompt_tokens", "ttft_s", "duration_s"} <= set(line)
    assert "Hi" not in repr(line)
