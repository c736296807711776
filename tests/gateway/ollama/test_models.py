"""Ollama's API of models: loading, names, lists, and what is known of one."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from tests.gateway.engines import FakeManager
from tests.gateway.ollama.ask import USER, chat, refusal, whole

from tricorn.engines.spec import Adapter
from tricorn.errors import Conflict
from tricorn.gateway.ollama import shapes as ollama_shapes
from tricorn.gateway.ollama.names import listed, resolve
from tricorn.manager.protocol.model_info import ModelInfo


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


def test_adapters_keep_their_names() -> None:
    """`BASE:NAME` is an adapter, also where it is called latest."""
    adapter = Adapter("latest", "", 8, 1)
    assert resolve(f"m:{adapter.name}", ["m", "m:latest"]) == "m:latest"
    assert listed("m", ["m", "m:latest"]) == "m"


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
