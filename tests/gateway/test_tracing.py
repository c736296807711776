"""The spans of a request, as its gateway makes them; kept in memory."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from tests.gateway.engines import FakeManager, ScriptedWorker
from tests.polling import wait_until

from tricorn.access.terms import Terms
from tricorn.engines.request import TokenDelta
from tricorn.gateway.app import create_app
from tricorn.gateway.services import EXTENSION, Services
from tricorn.gateway.traces.tracing import Tracing
from tricorn.settings.config import Settings
from tricorn.tracing.headers import trace_id
from tricorn.worker.protocol import Delta, Finished, Started

SECRET = "my secret"
MESSAGES = [{"role": "user", "content": SECRET}]
CHAT = {"model": "hello", "messages": MESSAGES, "max_tokens": 8}
CALLERS = "0af7651916cd43dd8448eb211c80319c"
CALLERS_SPAN = "b7ad6b7169203331"
TRACEPARENT = {"traceparent": f"00-{CALLERS}-{CALLERS_SPAN}-01", "tracestate": "vendor=x"}


class Gateway:
    """An application whose spans are kept."""

    def __init__(self, folder: Path, manager: Any, **settings: Any) -> None:
        self.kept = InMemorySpanExporter()
        app = create_app(
            Settings(run_dir=folder / "run", data_dir=folder / "data", **settings),
            manager,
            Tracing(lambda: SimpleSpanProcessor(self.kept)),
        )
        self.services: Services = app.extensions[EXTENSION]
        self.http = httpx.Client(
            transport=httpx.WSGITransport(app=app),  # type: ignore[arg-type]
            base_url="http://tricorn:81",
        )

    def post(self, path: str, body: Any, **headers: str) -> httpx.Response:
        return self.http.post(path, json=body, headers=headers)

    def spans(self) -> dict[str, ReadableSpan]:
        """By the first word of their names."""
        return {span.name.split()[0]: span for span in self.kept.get_finished_spans()}

    def span(self, name: str) -> Any:
        """With its attributes; it must be there."""
        return self.spans()[name]


@pytest.fixture
def make(tmp_path: Path, manager: FakeManager) -> Callable[..., Gateway]:
    return lambda own=None, **settings: Gateway(tmp_path, own or manager, **settings)


@pytest.fixture
def gateway(make: Callable[..., Gateway]) -> Gateway:
    return make()


def test_a_chat(gateway: Gateway, manager: FakeManager) -> None:
    """Its span goes on with the caller's trace, and the engine's is below it."""
    asked = CHAT | {"temperature": 0.5, "top_p": 0.9, "top_k": 7, "seed": 3}
    answer = gateway.post("/v1/chat/completions", asked, **TRACEPARENT).json()
    server, engine = gateway.span("chat"), gateway.span("engine")
    assert server.name == "chat hello"
    assert server.kind is SpanKind.SERVER
    assert f"{server.context.trace_id:032x}" == CALLERS
    assert f"{server.parent.span_id:016x}" == CALLERS_SPAN
    assert server.context.trace_state.get("vendor") == "x"
    told = dict(server.attributes)
    assert told.pop("gen_ai.response.time_to_first_chunk") > 0
    assert told.pop("user_agent.original").startswith("python-httpx")
    assert told.pop("tricorn.request_id").startswith("req_")
    assert told == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "tricorn",
        "gen_ai.request.model": "hello",
        "gen_ai.request.max_tokens": 8,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.top_p": 0.9,
        "gen_ai.request.top_k": 7,
        "gen_ai.request.seed": 3,
        "gen_ai.response.model": "hello",
        "gen_ai.response.id": answer["id"],
        "gen_ai.response.finish_reasons": ("length",),
        "gen_ai.usage.input_tokens": answer["usage"]["prompt_tokens"],
        "gen_ai.usage.output_tokens": 8,
        "gen_ai.usage.cache_read.input_tokens": 0,
        "http.request.method": "POST",
        "http.route": "/v1/chat/completions",
        "http.response.status_code": 200,
        "url.path": "/v1/chat/completions",
        "url.scheme": "http",
        "server.address": "tricorn",
        "server.port": 81,
        "client.address": "127.0.0.1",
    }
    assert server.status.status_code is StatusCode.UNSET

    assert engine.name == "engine hello"
    assert engine.parent.span_id == server.context.span_id
    assert engine.context.trace_id == server.context.trace_id
    assert server.start_time <= engine.start_time <= engine.end_time <= server.end_time
    events = [event.name for event in engine.events]
    assert events == ["prompt taken", "prefill began", "first token", "last token"]
    times = [event.timestamp for event in engine.events]
    assert times == sorted(times)
    for name in ("time_in_queue", "time_in_model_prefill", "time_in_model_decode"):
        assert engine.attributes[f"gen_ai.latency.{name}"] >= 0

    sent = manager.asked[-1]["trace"]
    assert sent["traceparent"] == f"00-{CALLERS}-{server.context.span_id:016x}-01"
    assert sent["tracestate"] == "vendor=x"


def test_nothing_that_is_said_is_in_spans(gateway: Gateway) -> None:
    """Neither what was asked, nor what was answered, nor the key."""
    answer = gateway.post("/v1/chat/completions", CHAT, Authorization="Bearer sk-hidden-key").json()
    said = answer["choices"][0]["message"]["content"]
    everything = "".join(span.to_json() for span in gateway.kept.get_finished_spans())
    for secret in (SECRET, said, "sk-hidden-key"):
        assert secret
        assert secret not in everything


def test_prompts_are_in_them_where_that_is_switched_on(make: Callable[..., Gateway]) -> None:
    """As the conventions have them; answers are not."""
    gateway = make(log_prompts=True)
    answer = gateway.post("/v1/chat/completions", CHAT).json()
    told = json.loads(gateway.span("chat").attributes["gen_ai.input.messages"])
    assert told == [{"role": "user", "parts": [{"type": "text", "content": SECRET}]}]
    said = answer["choices"][0]["message"]["content"]
    assert said not in gateway.span("chat").to_json()


def test_a_stream_ends_when_it_has_been_read(gateway: Gateway) -> None:
    """Not with its head."""
    body = CHAT | {"stream": True}
    with gateway.http.stream("POST", "/v1/chat/completions", json=body) as answer:
        lines = answer.iter_lines()
        first = json.loads(next(lines).removeprefix("data: "))
        assert gateway.spans() == {}
        assert [line for line in lines if line][-1] == "data: [DONE]"
    span = gateway.span("chat")
    assert span.attributes["gen_ai.request.stream"] is True
    assert span.attributes["gen_ai.response.id"] == first["id"]
    assert span.attributes["gen_ai.usage.output_tokens"] == 8
    assert gateway.span("engine").parent.span_id == span.context.span_id


def test_a_client_that_leaves_ends_it(gateway: Gateway) -> None:
    """Which is no failure."""
    body = {"model": "endless", "messages": MESSAGES, "stream": True}
    with gateway.http.stream("POST", "/v1/chat/completions", json=body) as answer:
        next(answer.iter_lines())
    wait_until(lambda: "chat" in gateway.spans())
    assert gateway.span("chat").status.status_code is StatusCode.UNSET
    assert gateway.span("engine").attributes["gen_ai.request.model"] == "endless"


def test_what_is_refused(gateway: Gateway) -> None:
    """The caller's own mistake is no failure of the server's, by the conventions."""
    assert gateway.post("/v1/chat/completions", CHAT | {"model": "gone"}).status_code == 404
    span = gateway.span("chat")
    assert span.name == "chat gone"
    assert span.attributes["http.response.status_code"] == 404
    assert span.attributes["error.type"] == "model_not_found"
    assert span.status.status_code is StatusCode.UNSET
    assert "engine" not in gateway.spans()


def test_an_engine_that_dies_in_a_stream(
    make: Callable[..., Gateway], scripted: ScriptedWorker
) -> None:
    """Both have failed, whatever the status said before."""
    manager = FakeManager({})
    manager.add("m", scripted)
    gateway = make(manager)
    body = {"model": "m", "messages": MESSAGES, "stream": True}
    sent = threading.Event()

    def die() -> None:
        start = scripted.started()
        scripted.send(Started(start.id, 3), Delta(start.id, TokenDelta(0, "Hi", [1])))
        sent.wait(15)
        scripted.hang_up()

    threading.Thread(target=die, daemon=True).start()
    with gateway.http.stream("POST", "/v1/chat/completions", json=body) as answer:
        lines = answer.iter_lines()
        while "Hi" not in next(lines):
            continue
        sent.set()
        assert any("engine_lost" in line for line in lines)
    for name in ("chat", "engine"):
        span = gateway.span(name)
        assert span.attributes["error.type"] == "engine_lost"
        assert span.status.status_code is StatusCode.ERROR


def test_the_engine_gets_the_trace_and_tells_its_queue(
    make: Callable[..., Gateway], scripted: ScriptedWorker
) -> None:
    manager = FakeManager({})
    manager.add("m", scripted)
    gateway = make(manager)
    done: queue.SimpleQueue[httpx.Response] = queue.SimpleQueue()
    body = {"model": "m", "messages": MESSAGES}
    ask = lambda: done.put(gateway.post("/v1/chat/completions", body, **TRACEPARENT))  # noqa: E731
    threading.Thread(target=ask, daemon=True).start()
    start = scripted.started()
    assert trace_id(start.trace) == CALLERS
    end = Delta(start.id, TokenDelta(0, "Hi", [1], "stop"))
    scripted.send(Started(start.id, 3), end, Finished(start.id, 0.25))
    assert done.get(timeout=15).status_code == 200
    assert gateway.span("engine").attributes["gen_ai.latency.time_in_queue"] == 0.25


@pytest.mark.parametrize(
    ("path", "body", "name"),
    [
        ("/v1/completions", {"model": "hello", "prompt": SECRET}, "text_completion hello"),
        ("/v1/messages", CHAT, "chat hello"),
        ("/v1/responses", {"model": "hello", "input": SECRET}, "chat hello"),
        ("/api/chat", CHAT | {"stream": False}, "chat hello"),
        ("/api/generate", {"model": "hello", "prompt": SECRET}, "text_completion hello"),
        ("/v1/embeddings", {"model": "vectors", "input": SECRET}, "embeddings vectors"),
        ("/api/embed", {"model": "vectors", "input": SECRET}, "embeddings vectors"),
        ("/v1/rerank", {"model": "ranks", "query": "a", "documents": [SECRET]}, "rerank ranks"),
    ],
)
def test_every_family(gateway: Gateway, path: str, body: Any, name: str) -> None:
    """Has its server's span and its engine's."""
    assert gateway.post(path, body).status_code == 200
    server, engine = gateway.spans()[name.split()[0]], gateway.span("engine")
    assert server.name == name
    assert engine.parent.span_id == server.context.span_id
    assert SECRET not in server.to_json()


def test_what_asks_no_model_has_no_span(gateway: Gateway) -> None:
    gateway.http.get("/v1/models")
    gateway.post("/v1/tokenize", {"model": "hello", "prompt": "Hi"})
    gateway.post("/nowhere", {})
    assert gateway.spans() == {}


def test_log_lines_have_the_traces_id(gateway: Gateway, manager: FakeManager) -> None:
    """The request's own, what the manager writes to its file, and no later ones."""
    with structlog.testing.capture_logs() as lines:
        gateway.post("/v1/chat/completions", CHAT, **TRACEPARENT)
        gateway.http.get("/v1/models")
    ours, later = (line for line in lines if line["event"] == "request")
    assert ours["trace_id"] == CALLERS
    assert "trace_id" not in later
    # Other tests' requests may be told first; queue.Empty where it never comes.
    while CALLERS not in [one.trace_id for one in manager.usage.get(timeout=15).ended]:
        continue


def test_the_key_is_named_by_its_id(make: Callable[..., Gateway]) -> None:
    gateway = make(auth="required")
    assert gateway.post("/v1/chat/completions", CHAT).status_code == 401
    assert gateway.span("chat").attributes["error.type"] == "invalid_api_key"
    gateway.kept.clear()
    made, text = gateway.services.keys.create("a key", Terms(permissions=("all",)))
    gateway.services.key_book.forget()
    given = {"Authorization": f"Bearer {text}"}
    assert gateway.post("/v1/chat/completions", CHAT, **given).status_code == 200
    span = gateway.span("chat")
    assert span.attributes["tricorn.key.id"] == made.id
    assert text not in span.to_json()
