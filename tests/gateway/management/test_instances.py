"""Routes of named instances, and the proxy that pins requests to one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import msgspec
import pytest
from flask import Flask
from tests.gateway.engines import FakeManager
from tests.gateway.management.answers import events

from tricorn.errors import InstanceNotFound
from tricorn.manager.protocol.model_info import ModelInfo


def test_instances(http: httpx.Client, manager: FakeManager) -> None:
    made = {"id": "x", "model": "plain", "model_id": "plain@x"}
    manager.answers |= {
        "instances.create": made,
        "instances.list": {"data": [made]},
        "instances.get": made,
        "instances.delete": {"deleted": True},
    }
    body = {"model_name": "plain", "params": {"n_batch": 1}, "ttl": "never", "name": "x"}
    answer = http.post("/instances", json=body)
    assert (answer.status_code, answer.json()) == (201, made)
    assert http.post("/instances?wait=false", json=body).status_code == 202
    assert http.get("/instances").json() == {"data": [made]}
    assert http.get("/instances/x").json() == made
    assert http.delete("/instances/x").json() == {"deleted": True}
    assert manager.orders[0] == (
        "instances.create",
        {"model": "plain", "params": {"n_batch": 1}, "ttl": -1.0, "name": "x", "wait": True},
    )
    assert [arguments for _, arguments in manager.orders[3:]] == [{"id": "x"}, {"id": "x"}]
    assert http.post("/instances", json={"model": "a", "params": 5}).status_code == 400


class WithInstance(FakeManager):
    """Serves "plain", and "plain@x", an instance of it."""

    def __init__(self) -> None:
        super().__init__({"plain": {}, "plain@x": {"answer": "I am x"}, "plain@x:ad": {}})
        self.leased_as: list[str] = []

    def _info(self, name: str) -> ModelInfo:
        info = super()._info(name)
        if name == "plain":
            return info
        parent = "plain@x" if name.endswith(":ad") else None
        return msgspec.structs.replace(info, instance_of="plain", parent=parent)

    def acquire(self, model: str, *arguments: Any, **options: Any) -> int:
        self.leased_as.append(model)
        return super().acquire(model, *arguments, **options)


@pytest.fixture
def pinned(make_app: Callable[..., Flask]) -> Iterator[tuple[httpx.Client, WithInstance]]:
    fake = WithInstance()
    transport = httpx.WSGITransport(app=make_app(fake))  # type: ignore[arg-type]
    with httpx.Client(transport=transport, base_url="http://tricorn") as http:
        yield http, fake
    fake.close()


@pytest.mark.parametrize(
    ("body", "named", "asked"),
    [
        ({}, "plain", "plain@x"),
        ({"model": "plain"}, "plain", "plain@x"),
        ({"model": "gpt-4o"}, "gpt-4o", "plain@x"),
        ({"model": "plain:ad"}, "plain:ad", "plain@x:ad"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_proxy_pins_the_model(
    pinned: tuple[httpx.Client, WithInstance],
    body: dict[str, Any],
    named: str,
    asked: str,
    stream: bool,
) -> None:
    """Whatever the body names; the answer has the client's name for it, streamed or whole."""
    http, fake = pinned
    sent = body | {"messages": [{"role": "user", "content": "Hi"}], "stream": stream}
    answer = http.post("/proxy/x/v1/chat/completions", json=sent)
    assert answer.status_code == 200
    assert fake.leased_as == [asked]
    if stream:
        chunks = [one for one in events(answer) if isinstance(one, dict)]
        assert {chunk["model"] for chunk in chunks} == {named}
        pieces = [chunk["choices"][0]["delta"].get("content") or "" for chunk in chunks]
        text = "".join(pieces)
    else:
        assert answer.json()["model"] == named
        text = answer.json()["choices"][0]["message"]["content"]
    assert (text == "I am x") == (asked == "plain@x")


def test_proxy_unloads_the_instance(pinned: tuple[httpx.Client, WithInstance]) -> None:
    """By Ollama's way to say so; not the model whose files it has."""
    http, fake = pinned
    fake.answers["unload"] = {}
    answer = http.post("/proxy/x/api/generate", json={"keep_alive": 0, "model": "plain"})
    assert answer.json()["done_reason"] == "unload"
    assert fake.orders[-1] == ("unload", {"model": "plain@x"})


@pytest.mark.parametrize("path", ["/v1/completions", "/api/generate", "/v1/messages"])
def test_proxy_has_every_family(pinned: tuple[httpx.Client, WithInstance], path: str) -> None:
    """Each in its own shape."""
    http, fake = pinned
    body = {"prompt": "a", "messages": [{"role": "user", "content": "a"}], "max_tokens": 4}
    if path == "/api/generate":
        body = {"prompt": "a", "stream": False}
    answer = http.post(f"/proxy/x{path}", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["model"] == "plain"
    assert fake.leased_as == ["plain@x"]


def test_proxy_sees_its_instance_only(pinned: tuple[httpx.Client, WithInstance]) -> None:
    """Under its model's name; the list of all models has no instances."""
    http, _ = pinned
    listed = [model["id"] for model in http.get("/proxy/x/v1/models").json()["data"]]
    assert listed == ["plain", "plain:ad"]
    assert http.get("/proxy/x/v1/models/plain").status_code == 200
    assert [model["id"] for model in http.get("/v1/models").json()["data"]] == ["plain"]
    assert http.get("/v1/models/plain@x").status_code == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/models/load"),
        ("DELETE", "/v1/models/plain/unload"),
        ("GET", "/instances"),
        ("GET", "/v1/system/metrics"),
        ("GET", "/proxy/x/v1/models"),
        ("GET", "/health"),
        ("GET", "/nothing"),
    ],
)
def test_proxy_does_not_manage(
    pinned: tuple[httpx.Client, WithInstance], method: str, path: str
) -> None:
    http, fake = pinned
    assert http.request(method, f"/proxy/x{path}", json={}).status_code == 404
    assert fake.orders == []


def test_proxy_of_an_instance_that_is_not_known_here(
    pinned: tuple[httpx.Client, WithInstance],
) -> None:
    """The manager is asked: it may have been made a moment ago."""
    http, fake = pinned
    fake.answers["instances.get"] = InstanceNotFound("There is no instance 'y'.")
    answer = http.get("/proxy/y/v1/models")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "instance_not_found")
    fake.answers["instances.get"] = {"model_id": "plain@x", "model": "plain"}
    body = {"messages": [{"role": "user", "content": "a"}]}
    assert "I am x" in http.post("/proxy/y/v1/chat/completions", json=body).text
