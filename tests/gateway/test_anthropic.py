"""Anthropic's Messages API over HTTP, with scripted answers of a FakeEngine."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from flask import Flask
from tests import images
from tests.gateway.engines import FakeManager, ScriptedWorker

from tricorn.engines.request import TokenDelta
from tricorn.errors import EngineGenerateError, Overloaded
from tricorn.gateway.app import create_app
from tricorn.settings.config import Settings
from tricorn.worker.protocol import Delta, Failed, Finished, Started

MESSAGES = "/v1/messages?beta=true"
HEADERS = {"anthropic-version": "2023-06-01", "anthropic-beta": "a,b", "x-api-key": "none"}
USER: Any = {"role": "user", "content": "Hi"}
WEATHER: Any = {
    "name": "get_weather",
    "description": "Tells the weather.",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
}
OSLO = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Oslo"}}\n</tool_call>'
MODELS: dict[str, dict[str, Any]] = {
    "echo": {},
    "caller": {"answer": f"Let me see.\n{OSLO}"},
    "held": {"constraints": True},
    "held-caller": {"constraints": True, "answer": OSLO},
    "thinker": {
        "answer": "<think>\nHm.\n</think>\n\nYes.",
        "chat_template": (
            "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
            "{% if enable_thinking is defined and not enable_thinking %}<think></think>{% endif %}"
        ),
    },
    "seeing": {"vision": True},
    "vectors": {"pooling": "embed"},
}


@pytest.fixture(scope="module")
def manager() -> Iterator[FakeManager]:
    fake = FakeManager(dict(MODELS))
    yield fake
    assert fake.leased == 0
    fake.close()


@pytest.fixture(scope="module")
def app(manager: FakeManager, tmp_path_factory: pytest.TempPathFactory) -> Flask:
    folder: Path = tmp_path_factory.mktemp("run")
    return create_app(Settings(run_dir=folder, data_dir=folder), manager)


@pytest.fixture
def http(app: Flask) -> Iterator[httpx.Client]:
    with _client(app) as client:
        yield client


def _client(app: Flask) -> httpx.Client:
    transport = httpx.WSGITransport(app=app)  # type: ignore[arg-type]
    return httpx.Client(transport=transport, base_url="http://tricorn", headers=HEADERS)


def body(model: str, **fields: Any) -> dict[str, Any]:
    return {"model": model, "max_tokens": 200, "messages": [USER]} | fields


def whole(http: httpx.Client, model: str, **fields: Any) -> dict[str, Any]:
    answer = http.post(MESSAGES, json=body(model, **fields))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def events(text: str) -> list[dict[str, Any]]:
    """Each one's data; its name must be its type."""
    found = []
    for event in text.split("\n\n")[:-1]:
        first, second = event.split("\n")
        assert first.startswith("event: ")
        assert second.startswith("data: ")
        data = json.loads(second.removeprefix("data: "))
        assert data["type"] == first.removeprefix("event: ")
        found.append(data)
    return found


def streamed(http: httpx.Client, model: str, **fields: Any) -> list[dict[str, Any]]:
    answer = http.post(MESSAGES, json=body(model, stream=True, **fields))
    assert answer.headers["content-type"].startswith("text/event-stream")
    return events(answer.text)


def failed(http: httpx.Client, path: str = MESSAGES, **fields: Any) -> tuple[int, dict[str, Any]]:
    answer = http.post(path, json=body("echo") | fields)
    found = answer.json()
    assert set(found) == {"type", "error", "request_id"}
    assert found["type"] == "error"
    assert found["request_id"] == answer.headers["request-id"] == answer.headers["x-request-id"]
    assert set(found["error"]) == {"type", "message", "param", "code"}
    return answer.status_code, found["error"]


def test_a_message(http: httpx.Client) -> None:
    """Whole, with the request's id in the header that Anthropic's clients read."""
    answer = http.post(MESSAGES, json=body("echo"))
    message = answer.json()
    assert answer.headers["request-id"] == answer.headers["x-request-id"]
    assert message["id"].startswith("msg_")
    assert message["model"] == "echo"
    assert message["content"] == [{"type": "text", "text": "Hi", "citations": None}]
    assert (message["stop_reason"], message["stop_sequence"]) == ("end_turn", None)
    assert message["usage"]["output_tokens"] == 3


def test_a_stream(http: httpx.Client) -> None:
    """Named events, from message_start to message_stop, and nothing behind it."""
    found = streamed(http, "echo")
    assert [event["type"] for event in found] == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert found[0]["message"]["usage"]["input_tokens"] == found[-2]["usage"]["input_tokens"] > 0


def test_a_stop_sequence(http: httpx.Client) -> None:
    """The one that ended the answer is told, and not shown."""
    asked = {"messages": [{"role": "user", "content": "one END two"}], "stop_sequences": ["END"]}
    message = whole(http, "echo", **asked)
    assert message["content"][0]["text"] == "one "
    assert (message["stop_reason"], message["stop_sequence"]) == ("stop_sequence", "END")
    ended = streamed(http, "echo", **asked)[-2]
    assert ended["delta"] == {"stop_reason": "stop_sequence", "stop_sequence": "END"}


def test_the_limit(http: httpx.Client) -> None:
    """max_tokens; 0 prefills only; where the context ends first, that is said."""
    message = whole(http, "echo", max_tokens=1)
    assert (message["content"][0]["text"], message["stop_reason"]) == ("H", "max_tokens")
    none = whole(http, "echo", max_tokens=0)
    assert (none["content"][0]["text"], none["stop_reason"]) == ("", "max_tokens")
    assert none["usage"]["output_tokens"] == 0
    long = [{"role": "user", "content": "x" * 3000}]
    full = whole(http, "echo", max_tokens=9999, messages=long)
    assert full["stop_reason"] == "model_context_window_exceeded"


def test_a_call(http: httpx.Client) -> None:
    """A block of text and one of a call, whole and in pieces."""
    text, call = whole(http, "caller", tools=[WEATHER])["content"]
    assert text["text"] == "Let me see."
    assert (call["name"], call["input"]) == ("get_weather", {"city": "Oslo"})
    found = streamed(http, "caller", tools=[WEATHER])
    starts = [event["content_block"] for event in found if "content_block" in event]
    assert [block["type"] for block in starts] == ["text", "tool_use"]
    assert starts[1]["input"] == {}
    pieces = [event["delta"]["partial_json"] for event in found
              if event.get("delta", {}).get("type") == "input_json_delta"]  # fmt: skip
    assert len(pieces) > 3
    assert json.loads("".join(pieces)) == {"city": "Oslo"}
    assert found[-2]["delta"]["stop_reason"] == "tool_use"


def test_a_call_that_is_cut(http: httpx.Client) -> None:
    """Its pieces are an object even so, the same one that a whole answer has."""
    cut = {"tools": [WEATHER], "max_tokens": len("Let me see.\n" + OSLO) - 19}
    message = whole(http, "caller", **cut)
    assert message["stop_reason"] == "max_tokens"
    assert message["content"][1]["input"] == {"city": "O"}
    pieces = [event["delta"]["partial_json"] for event in streamed(http, "caller", **cut)
              if event.get("delta", {}).get("type") == "input_json_delta"]  # fmt: skip
    assert json.loads("".join(pieces)) == {"city": "O"}


def test_a_call_that_must_be(http: httpx.Client) -> None:
    """any is enforced, or refused where the engine cannot."""
    asked = {"tools": [WEATHER], "tool_choice": {"type": "any"}}
    assert whole(http, "held-caller", **asked)["stop_reason"] == "tool_use"
    status, error = failed(http, model="echo", **asked)
    assert (status, error["code"], error["param"]) == (400, "unsupported_parameter", "tools")


def test_a_conversation_with_tools(http: httpx.Client) -> None:
    """What came back from the model goes to it again, with the result."""
    message = whole(http, "caller", tools=[WEATHER])
    call = message["content"][1]
    result = {"type": "tool_result", "tool_use_id": call["id"], "content": "Rain"}
    turns = [
        USER,
        {"role": "assistant", "content": message["content"]},
        {"role": "user", "content": [result]},
    ]
    answer = whole(http, "echo", messages=turns, tools=[WEATHER])
    assert "Rain" in answer["content"][0]["text"] or "tool_response" in answer["content"][0]["text"]


def test_thoughts(http: httpx.Client) -> None:
    """In a block in front, signed; absent where thinking is disabled."""
    message = whole(http, "thinker")
    thought, text = message["content"]
    assert (thought["type"], thought["thinking"]) == ("thinking", "Hm.")
    assert text["text"] == "Yes."
    kinds = [event["delta"]["type"] for event in streamed(http, "thinker") if "index" in event
             and "delta" in event]  # fmt: skip
    assert kinds.index("signature_delta") == kinds.index("text_delta") - 1
    assert kinds[0] == "thinking_delta"
    again = [USER, {"role": "assistant", "content": message["content"]}, USER]
    assert whole(http, "thinker", messages=again)["content"][0]["type"] == "thinking"
    silent = whole(http, "thinker", thinking={"type": "disabled"})
    assert [block["type"] for block in silent["content"]] == ["text"]


def test_a_format(http: httpx.Client) -> None:
    """The schema reaches the engine; an engine that cannot hold to it is said by the right name."""
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    config = {"format": {"type": "json_schema", "schema": schema}}
    answer = whole(http, "held", output_config=config)
    assert json.loads(answer["content"][0]["text"]) == schema
    status, error = failed(http, output_config=config)
    assert (status, error["param"]) == (400, "output_config.format")


def test_images(http: httpx.Client) -> None:
    """In base64; the limits and the model's own ability are those of all images."""
    data = images.data_url(images.png()).partition(",")[2]
    block = {
        "type": "image",
        "source": {"type": "base64", "media_type": "image/png", "data": data},
    }
    asked = {"messages": [{"role": "user", "content": [block, {"type": "text", "text": "?"}]}]}
    whole(http, "seeing", **asked)
    status, error = failed(http, **asked)
    assert (status, error["param"]) == (400, "messages[0].content[0].source.data")
    block["source"]["data"] = "no image"
    status, error = failed(http, **asked)
    assert (status, error["param"]) == (400, "messages[0].content[0].source.data")
    block["source"] = {"type": "url", "url": "https://example.org/a.png"}
    status, error = failed(http, **asked)
    assert (status, error["param"]) == (400, "messages[0].content[0].source.url")


def test_counting_tokens(http: httpx.Client) -> None:
    """As many as the message then has, tools and system prompt with it."""
    asked = {"messages": [USER], "system": "Be brief.", "tools": [WEATHER]}
    answer = http.post("/v1/messages/count_tokens?beta=true", json={"model": "echo", **asked})
    assert set(answer.json()) == {"input_tokens"}
    usage = whole(http, "echo", **asked)["usage"]
    assert answer.json()["input_tokens"] == (
        usage["input_tokens"] + usage["cache_read_input_tokens"]
    )
    assert answer.headers["request-id"]


def test_unknown_fields(http: httpx.Client) -> None:
    """Are named in the header that all routes have for it."""
    answer = http.post(MESSAGES, json=body("echo", colour=1))
    assert answer.status_code == 200
    assert answer.headers["x-tricorn-ignored"] == "colour"


# --- errors -------------------------------------------------------------------------------------


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
    with _client(own) as http:
        answer = http.post(MESSAGES, json=body("echo", system="x" * 2000))
    assert (answer.status_code, answer.json()["error"]["type"]) == (413, "request_too_large")


def test_too_much_to_do(make_app: Callable[..., Flask]) -> None:
    """503 is an overloaded_error, with the time to wait."""
    busy = FakeManager({"busy": {}})

    def refuse(model: str, request_id: str, inbox: Any, **asked: Any) -> int:
        inbox.put(Overloaded("Too many requests wait.", retry_after_s=7))
        return 1

    busy.acquire = refuse  # type: ignore[method-assign]
    with _client(make_app(busy)) as http:
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
    with _client(make_app(fake)) as http:
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
    with _client(make_app(fake, sse_keepalive_s=0.05)) as http:
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


# --- models -------------------------------------------------------------------------------------


def test_models(http: httpx.Client) -> None:
    """Anthropic's shape for its clients, OpenAI's for all others."""
    found = http.get("/v1/models").json()
    assert set(found) == {"data", "has_more", "first_id", "last_id"}
    assert (found["first_id"], found["last_id"]) == ("echo", "vectors")
    assert found["has_more"] is False
    model = http.get("/v1/models/echo").json()
    assert model == found["data"][0]
    assert (model["type"], model["id"], model["display_name"]) == ("model", "echo", "echo")
    assert model["created_at"] == "2023-11-14T22:13:20Z"
    del http.headers["anthropic-version"]
    assert http.get("/v1/models").json()["object"] == "list"
    assert http.get("/v1/models/echo").json()["object"] == "model"


def test_pages_of_models(http: httpx.Client) -> None:
    """Forwards and backwards, as the SDK turns them."""
    names = list(MODELS)

    def page(**asked: Any) -> tuple[list[str], bool]:
        found = http.get("/v1/models", params=asked).json()
        return [model["id"] for model in found["data"]], found["has_more"]

    assert page(limit=2) == (names[:2], True)
    assert page(limit=2, after_id=names[1]) == (names[2:4], True)
    assert page(limit=9, after_id=names[1]) == (names[2:], False)
    assert page(limit=2, before_id=names[4]) == (names[2:4], True)
    assert page(after_id=names[-1]) == ([], False)


@pytest.mark.parametrize(
    ("asked", "param"),
    [({"limit": "0"}, "limit"), ({"limit": "x"}, "limit"), ({"after_id": "nope"}, "after_id")],
)
def test_pages_that_cannot_be(http: httpx.Client, asked: dict[str, str], param: str) -> None:
    """400 in Anthropic's envelope."""
    answer = http.get("/v1/models", params=asked)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param
    assert answer.json()["type"] == "error"


def test_an_unknown_model(http: httpx.Client) -> None:
    """404 in the envelope of the client that asks."""
    assert http.get("/v1/models/nope").json()["error"]["type"] == "not_found_error"
    del http.headers["anthropic-version"]
    assert http.get("/v1/models/nope").json()["error"]["type"] == "invalid_request_error"
