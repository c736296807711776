"""Ollama's API by plain HTTP: exact shapes, streams line by line, and its errors."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from flask import Flask
from tests.gateway.engines import FakeManager, ScriptedWorker
from tests.gateway.test_tools import NOW, OSLO, THINKING, TIME, WEATHER
from tests.images import png

from tricorn.engines.request import TokenDelta
from tricorn.engines.spec import Adapter
from tricorn.errors import Conflict, EngineGenerateError
from tricorn.gateway.answers import sse
from tricorn.gateway.app import create_app
from tricorn.gateway.ollama import shapes as ollama_shapes
from tricorn.gateway.ollama.names import listed, resolve
from tricorn.manager.protocol import ModelInfo
from tricorn.settings.config import Settings
from tricorn.worker import protocol as data

USER: Any = [{"role": "user", "content": "Hi"}]
MODELS: dict[str, dict[str, Any]] = {
    "echo": {},
    "hello": {"answer": "Hello!"},
    "lines": {"answer": "a\u2028b\x85c"},
    "bound": {"constraints": True},
    "gap": {"fill_in_middle": True},
    "seeing": {"vision": True},
    "no-chat": {"chat_template": "{% for"},
    "vectors": {"pooling": "embed"},
    "caller": {"answer": f"Let me see.\n{OSLO}\n{TIME}"},
    "thinker": {"answer": "<think>\nHm.\n</think>\n\nYes.", "chat_template": THINKING},
    "tagged:latest": {"answer": "I am tagged."},
    "tagged": {"answer": "I am not."},
}


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeManager]:
    manager = FakeManager(dict(MODELS))
    yield manager
    assert manager.leased == 0
    manager.close()


@pytest.fixture
def api(tmp_path: Any, fake: FakeManager) -> Iterator[httpx.Client]:
    app = create_app(Settings(run_dir=tmp_path / "run"), fake)
    transport = httpx.WSGITransport(app=app)
    with httpx.Client(transport=transport, base_url="http://tricorn/api") as client:
        yield client


def whole(api: httpx.Client, route: str, model: str, **fields: Any) -> dict[str, Any]:
    response = api.post(route, json={"model": model, "stream": False, **fields})
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/json"
    answer: dict[str, Any] = response.json()
    assert answer["model"] == model
    assert answer["done"] is True
    return answer


def chat(api: httpx.Client, model: str, **fields: Any) -> dict[str, Any]:
    return whole(api, "/chat", model, **({"messages": USER} | fields))


def generate(api: httpx.Client, model: str, **fields: Any) -> dict[str, Any]:
    return whole(api, "/generate", model, **({"prompt": "Hi"} | fields))


def refusal(api: httpx.Client, route: str, **body: Any) -> tuple[int, str]:
    response = api.post(route, json=body)
    error: dict[str, str] = response.json()
    assert list(error) == ["error"]
    return response.status_code, error["error"]


# --- answers ------------------------------------------------------------------------------------


def test_stream_is_the_default(api: httpx.Client) -> None:
    """One object a line; the last one has the counts."""
    response = api.post("/chat", json={"model": "hello", "messages": USER})
    assert response.headers["content-type"] == "application/x-ndjson"
    assert response.text.endswith("}\n")
    chunks = [json.loads(line) for line in response.text.split("\n")[:-1]]
    assert all(list(chunk) == ["model", "created_at", "message", "done"] for chunk in chunks[:-1])
    assert "".join(chunk["message"]["content"] for chunk in chunks) == "Hello!"
    assert list(chunks[-1]) == [
        "model",
        "created_at",
        "message",
        "done",
        "done_reason",
        "total_duration",
        "load_duration",
        "prompt_eval_count",
        "prompt_eval_duration",
        "eval_count",
        "eval_duration",
    ]
    assert chunks[-1]["message"] == {"role": "assistant", "content": ""}
    assert (chunks[-1]["done_reason"], chunks[-1]["eval_count"]) == ("stop", 7)


def test_lines_are_lines_to_everyone(api: httpx.Client) -> None:
    """Python's `splitlines` takes more for line ends than JSON does; Ollama's client uses it."""
    response = api.post("/generate", json={"model": "lines", "prompt": "Hi"})
    chunks = [json.loads(line) for line in response.text.splitlines()]
    assert "".join(chunk["response"] for chunk in chunks) == "a\u2028b\x85c"


def test_chat(api: httpx.Client) -> None:
    answer = chat(api, "hello", options={"num_predict": 2})
    assert answer["message"] == {"role": "assistant", "content": "He"}
    assert (answer["done_reason"], answer["eval_count"]) == ("length", 2)


def test_generate(api: httpx.Client) -> None:
    """Without `raw` it is a chat of one turn; the echo model says the last line of what it got."""
    assert generate(api, "echo")["response"] == "Hi"
    with_system = generate(api, "echo", system="Be brief.")
    assert with_system["prompt_eval_count"] == len("system: Be brief.\nuser: Hi\nassistant: ")
    assert generate(api, "echo", raw=True)["prompt_eval_count"] == len("Hi")
    assert generate(api, "gap", suffix=" there")["prompt_eval_count"] == len("Hi there") + 3


def test_model_without_a_template(api: httpx.Client) -> None:
    """It takes plain prompts, and the refusal of a chat says how."""
    for route, more in (("/chat", {"messages": USER}), ("/generate", {"prompt": "Hi"})):
        status, text = refusal(api, route, model="no-chat", **more)
        assert (status, "'raw': true" in text) == (400, True)
    assert generate(api, "no-chat", raw=True)["response"] == "Hi"


def test_format(api: httpx.Client) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    assert json.loads(chat(api, "bound", format=schema)["message"]["content"]) == schema
    assert generate(api, "bound", format="json")["response"] == "{}"
    status, text = refusal(api, "/chat", model="echo", messages=USER, format="json")
    assert status == 400
    assert text.startswith("'format' is not supported")


def test_tools(api: httpx.Client) -> None:
    message = chat(api, "caller", tools=[WEATHER, NOW])["message"]
    assert message["content"] == "Let me see."
    assert [call["function"] for call in message["tool_calls"]] == [
        {"index": 0, "name": "get_weather", "arguments": {"city": "Oslo"}},
        {"index": 1, "name": "now", "arguments": {}},
    ]


def test_tool_results(api: httpx.Client) -> None:
    """Calls as objects go back into the chat, and results without ids find their way."""
    call = {"function": {"name": "get_weather", "arguments": {"city": "Oslo"}}}
    messages = [
        *USER,
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "tool_name": "get_weather", "content": "Warm."},
    ]
    answer = chat(api, "echo", messages=messages, tools=[WEATHER])
    assert "tool_response" in answer["message"]["content"]


def test_thinking(api: httpx.Client) -> None:
    answer = chat(api, "thinker", think=True)
    assert answer["message"] == {"role": "assistant", "content": "Yes.", "thinking": "Hm."}
    status, text = refusal(api, "/chat", model="echo", messages=USER, think=True)
    assert (status, "'think'" in text) == (400, True)
    assert chat(api, "echo", think=False)["message"]["content"] == "Hi"


def test_logprobs(api: httpx.Client) -> None:
    entries = chat(api, "hello", logprobs=True, top_logprobs=1)["logprobs"]
    assert "".join(entry["token"] for entry in entries) == "Hello!"
    assert [top["token"] for top in entries[0]["top_logprobs"]] == ["H"]


def test_images(api: httpx.Client) -> None:
    image = base64.b64encode(png()).decode()
    seen = chat(api, "seeing", messages=[{**USER[0], "images": [image]}])
    assert "<image" in seen["message"]["content"]
    assert "<image" in generate(api, "seeing", images=[image])["response"]
    status, text = refusal(api, "/generate", model="echo", prompt="Hi", images=[image])
    assert (status, text) == (400, "'echo' takes no images.")
    status, text = refusal(api, "/generate", model="seeing", prompt="Hi", images=["?"])
    assert (status, "'images[0]'" in text) == (400, True)


def test_begun_answer(api: httpx.Client) -> None:
    """A last message of the assistant is the beginning of the answer."""
    messages = [*USER, {"role": "assistant", "content": "We say"}]
    answer = chat(api, "echo", messages=messages)
    assert answer["prompt_eval_count"] == len("user: Hi\nassistant: We say")


def test_truncation(api: httpx.Client) -> None:
    """Only on demand, and told in a header."""
    long = [{"role": "user", "content": "x" * 3000}, {"role": "assistant", "content": "y"}]
    body = {"model": "hello", "messages": long + long + USER, "stream": False}
    assert api.post("/chat", json=body).status_code == 400
    response = api.post("/chat", json=body | {"truncate": True})
    assert response.json()["message"]["content"] == "Hello!"
    assert "turns=1" in response.headers["x-tricorn-truncated"]


# --- vectors ------------------------------------------------------------------------------------


def test_embed(api: httpx.Client) -> None:
    answer = api.post("/embed", json={"model": "vectors", "input": ["a", "b"]}).json()
    assert list(answer) == [
        "model",
        "embeddings",
        "total_duration",
        "load_duration",
        "prompt_eval_count",
    ]
    assert [vector.index(1.0) for vector in answer["embeddings"]] == [1, 2]
    assert (answer["model"], answer["prompt_eval_count"]) == ("vectors", 2)
    assert 0 <= answer["load_duration"] <= answer["total_duration"]


def test_embeddings(api: httpx.Client) -> None:
    answer = api.post("/embeddings", json={"model": "vectors", "prompt": "a"}).json()
    assert list(answer) == ["embedding"]
    assert answer["embedding"].index(1.0) == 1


def test_embed_refusals(api: httpx.Client) -> None:
    status, text = refusal(api, "/embed", model="echo", input="a")
    assert (status, "makes no embeddings" in text) == (400, True)
    status, text = refusal(api, "/embed", model="vectors", input="a", dimensions=4)
    assert (status, "'dimensions'" in text) == (400, True)
    status, text = refusal(api, "/embed", model="vectors", input=["a", "x" * 5000], truncate=True)
    assert (status, "4096" in text) == (400, True)


# --- models -------------------------------------------------------------------------------------


def test_load(api: httpx.Client, fake: FakeManager) -> None:
    """A request with nothing to answer loads the model: a lease is got and given back."""
    before = len(fake.released)
    answer = whole(api, "/chat", "hello")
    del answer["created_at"]
    assert answer == {
        "model": "hello",
        "message": {"role": "assistant", "content": ""},
        "done": True,
        "done_reason": "load",
    }
    assert whole(api, "/generate", "hello", keep_alive="5m")["response"] == ""
    assert api.post("/embed", json={"model": "vectors"}).json()["embeddings"] == []
    assert api.post("/embeddings", json={"model": "vectors"}).json() == {"embedding": []}
    assert fake.released[before:] == [
        ("hello", False),
        ("hello", False),
        ("vectors", False),
        ("vectors", False),
    ]
    status, text = refusal(api, "/generate", model="vectors")
    assert (status, "generates no text" in text) == (400, True)


def test_unload(api: httpx.Client, fake: FakeManager) -> None:
    """A request with nothing to answer that keeps the model for no time."""
    fake.answers["unload"] = {}
    before = len(fake.asked)
    assert whole(api, "/chat", "hello", keep_alive=0)["done_reason"] == "unload"
    answer = whole(api, "/generate", "hello:latest", keep_alive="0s")
    assert (answer["response"], answer["done_reason"]) == ("", "unload")
    empty = api.post("/embed", json={"model": "vectors", "keep_alive": 0})
    assert empty.json() == {"model": "vectors", "embeddings": []}
    asked = [arguments["model"] for command, arguments in fake.orders if command == "unload"]
    assert asked == ["hello", "hello", "vectors"]
    assert len(fake.asked) == before  # nothing was loaded for it
    fake.answers["unload"] = Conflict("'hello' is pinned", param="model")
    assert refusal(api, "/chat", model="hello", keep_alive=0) == (409, "'hello' is pinned")
    assert chat(api, "hello", keep_alive=0)["done_reason"] == "stop"
    assert fake.asked[-1]["keep_alive_s"] == 0


def test_context(api: httpx.Client) -> None:
    assert chat(api, "hello", options={"num_ctx": 4096})["done"]
    for route, more in (("/chat", {"messages": USER}), ("/chat", {}), ("/generate", {})):
        body = {"model": "hello", "options": {"num_ctx": 4097}, **more}
        status, text = refusal(api, route, **body)
        assert status == 400
        assert "'options.num_ctx' is 4097" in text
        assert "context_length" in text


def test_tag(api: httpx.Client) -> None:
    """`latest` is what Ollama's clients add; a model that really has the tag keeps it."""
    assert chat(api, "hello:latest")["message"]["content"] == "Hello!"
    assert chat(api, "tagged:latest")["message"]["content"] == "I am tagged."
    assert chat(api, "tagged")["message"]["content"] == "I am not."
    status, text = refusal(api, "/chat", model="nobody:latest", messages=USER)
    assert (status, "'nobody'" in text) == (404, True)


@pytest.mark.parametrize("model_id", ["m", "org/m", "m:adapter", "both", "both:latest"])
def test_names_come_back(model_id: str) -> None:
    """Whatever a list shows means the same model."""
    known = ["m", "org/m", "m:adapter", "both", "both:latest"]
    assert resolve(listed(model_id, known), known) == model_id


def test_tags(api: httpx.Client) -> None:
    models = {model["name"]: model for model in api.get("/tags").json()["models"]}
    assert {"hello:latest", "tagged", "tagged:latest"} <= set(models)
    entry = models["hello:latest"]
    assert entry | {"digest": ""} == {
        "name": "hello:latest",
        "model": "hello:latest",
        "modified_at": "2023-11-14T22:13:20.000000Z",
        "size": 0,
        "digest": "",
        "details": {
            "parent_model": "",
            "format": "fake",
            "family": "",
            "families": None,
            "parameter_size": "",
            "quantization_level": "",
        },
    }
    assert len(entry["digest"]) == 64
    head = api.head("/tags")
    assert (head.status_code, head.content) == (200, b"")


def test_show(api: httpx.Client) -> None:
    """Both names of the field; what is known once the model was loaded."""
    chat(api, "hello")
    for body in ({"model": "hello"}, {"name": "hello:latest"}):
        shown = api.post("/show", json=body).json()
        assert shown["template"].startswith("{% for m in messages %}")
        assert shown["capabilities"] == ["completion", "tools"]
        assert shown["parameters"] == "num_ctx 4096"
        assert shown["model_info"]["tricorn.context_length"] == 4096
    status, text = refusal(api, "/show", model="nobody")
    assert (status, "hello" in text) == (404, True)


def test_version(api: httpx.Client) -> None:
    """The first number is read by clients that need a certain release."""
    version = api.get("/version").json()["version"]
    assert [int(part) for part in version.split(".")] >= [0, 12, 11]


INFO = ModelInfo(
    "m",
    1700000000,
    "llamacpp",
    "a test",
    "gguf",
    100,
    "READY",
    8192,
    memory_bytes=250,
    details={"architecture": "llama", "parameters": 134_515_008, "quantization": "Q4_1"},
)


def test_what_is_known_of_a_model() -> None:
    (entry,) = ollama_shapes.tags([INFO])["models"]
    assert entry["details"] == {
        "parent_model": "",
        "format": "gguf",
        "family": "llama",
        "families": ["llama"],
        "parameter_size": "134.5M",
        "quantization_level": "Q4_1",
    }
    info = ollama_shapes.shown(INFO, None)["model_info"]
    assert info["general.architecture"] == "llama"
    assert info["general.parameter_count"] == 134_515_008
    assert info["llama.context_length"] == 8192
    assert "template" not in ollama_shapes.shown(INFO, None)


def changed(**fields: Any) -> ModelInfo:
    return ModelInfo(**{name: getattr(INFO, name) for name in INFO.__struct_fields__} | fields)


def test_what_is_loaded() -> None:
    """Not what is parked, loading or an adapter; its memory where it is known whose it is."""
    models = [
        changed(id="cpu", device="cpu"),
        changed(id="gpu", device="cuda"),
        changed(id="unknown"),
        changed(id="unmeasured", device="cuda", memory_bytes=None),
        changed(id="cpu:a", device="cpu", parent="cpu"),
        changed(id="away", state="PARKED"),
        changed(id="soon", state="LOADING"),
    ]
    entries = {
        entry["name"]: entry for entry in ollama_shapes.running(models, {"cpu": 1.5})["models"]
    }
    sizes = {name: (one.get("size"), one.get("size_vram")) for name, one in entries.items()}
    assert sizes == {
        "cpu:latest": (250, 0),
        "gpu:latest": (250, 250),
        "unknown:latest": (250, None),
        "unmeasured:latest": (None, None),
    }
    assert entries["cpu:latest"]["context_length"] == 8192
    assert entries["cpu:latest"]["expires_at"] == "1970-01-01T00:00:01.000000Z"
    assert "expires_at" not in entries["gpu:latest"]


def test_a_model_with_a_fault_is_not_listed() -> None:
    assert ollama_shapes.tags([changed(fault="broken")]) == {"models": []}


# --- errors -------------------------------------------------------------------------------------


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


def test_adapters_keep_their_names() -> None:
    """`BASE:NAME` is an adapter, also where it is called latest."""
    adapter = Adapter("latest", "", 8, 1)
    assert resolve(f"m:{adapter.name}", ["m", "m:latest"]) == "m:latest"
    assert listed("m", ["m", "m:latest"]) == "m"
