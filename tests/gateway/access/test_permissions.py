"""What a key may do, by the routes."""

from __future__ import annotations

from typing import Any

import pytest
from tests.gateway.access.door import CHAT, Door
from tests.gateway.engines import FakeManager

from tricorn.gateway.record import IGNORED_HEADER
from tricorn.worker.client import EngineClient


@pytest.mark.parametrize(
    ("permission", "method", "path"),
    [
        ("chat", "POST", "/v1/chat/completions"),
        ("chat", "POST", "/v1/messages"),
        ("chat", "POST", "/v1/responses"),
        ("chat", "POST", "/api/chat"),
        ("chat", "GET", "/v1/responses/x"),
        ("completions", "POST", "/v1/completions"),
        ("completions", "POST", "/api/generate"),
        ("embeddings", "POST", "/v1/embeddings"),
        ("embeddings", "POST", "/v1/rerank"),
        ("embeddings", "POST", "/api/embed"),
        ("models:read", "GET", "/v1/models"),
        ("models:read", "GET", "/api/tags"),
        ("models:read", "GET", "/v1/models/plain/status"),
        ("models:manage", "POST", "/v1/models/load"),
        ("models:manage", "DELETE", "/v1/models/plain/unload"),
        ("models:manage", "DELETE", "/api/delete"),
        ("models:manage", "POST", "/instances"),
        ("metrics", "GET", "/v1/system/metrics"),
        ("admin", "POST", "/v1/admin/reload"),
        ("admin", "GET", "/admin/keys"),
        ("admin", "GET", "/admin/usage"),
        ("admin", "GET", "/v1/logs/recent"),
    ],
)
def test_each_route_has_its_permission(door: Door, permission: str, method: str, path: str) -> None:
    """With it the request gets in, with all the others it does not."""
    body = {"json": {}} if method != "GET" else {}
    includes = {"models:read": ["models:manage"], "metrics": ["admin"]}.get(permission, [])
    others = {"chat", "completions", "embeddings", "models:read", "models:manage", "metrics",
              "admin"} - {permission, *includes}  # fmt: skip
    refused = door.client.open(path, method=method, headers=door.key(*others), **body)
    assert refused.status_code == 403, refused.text
    assert permission in refused.text
    if path not in ("/v1/logs/recent", "/instances", "/api/delete", "/v1/models/load"):
        allowed = door.client.open(path, method=method, headers=door.key(permission), **body)
        assert allowed.status_code not in (401, 403), allowed.text


def test_unloading_as_ollama_does_is_managing(door: Door, open_door: Door) -> None:
    """`ollama stop`: a request with nothing to answer that keeps the model for no time."""
    stop = {"model": "plain", "keep_alive": 0}
    for path, permission in (
        ("/api/chat", "chat"),
        ("/api/generate", "completions"),
        ("/api/embed", "embeddings"),
    ):
        assert open_door.status(path, method="POST", json=stop) == 200
        assert door.status(path, door.key(permission), method="POST", json=stop) == 403
        both = door.key(permission, "models:manage")
        assert door.status(path, both, method="POST", json=stop) == 200
        open_door.services.key_book.forget()
        assert open_door.status(path, method="POST", json=stop) == 401
        for key in open_door.services.keys.all():
            open_door.services.keys.revoke(key.id)
        open_door.services.key_book.forget()
        door.services.key_book.forget()


@pytest.mark.parametrize(
    ("path", "body", "permission"),
    [
        ("/v1/chat/completions", CHAT, "chat"),
        ("/v1/chat/completions", CHAT | {"stream": True}, "chat"),
        ("/v1/completions", {"model": "plain", "prompt": "Hi", "max_tokens": 1}, "completions"),
        ("/v1/embeddings", {"model": "plain", "input": "Hi"}, "embeddings"),
        ("/tokenize", CHAT, "chat"),
        ("/api/chat", {"model": "plain", "messages": CHAT["messages"]}, "chat"),
        ("/api/chat", {"model": "plain"}, "chat"),
        ("/api/generate", {"model": "plain", "prompt": "Hi"}, "completions"),
        ("/api/embed", {"model": "plain", "input": "Hi"}, "embeddings"),
    ],
)
def test_how_long_a_model_stays_is_for_those_who_manage(
    door: Door, open_door: Door, manager: FakeManager, path: str, body: Any, permission: str
) -> None:
    """Others are served, and told that it was not heeded; where nobody has keys, all may."""
    body = body | {"keep_alive": "1m"}

    def asked(of: Door, headers: dict[str, str] | None) -> tuple[float | None, str | None]:
        answer = of.client.post(path, json=body, headers=headers)
        return manager.asked[-1]["keep_alive_s"], answer.headers.get(IGNORED_HEADER)

    assert asked(open_door, None) == asked(open_door, {"x-api-key": "any"}) == (60.0, None)
    assert asked(door, door.key(permission)) == (None, "keep_alive")
    assert asked(door, door.key(permission, "models:manage")) == (60.0, None)
    open_door.services.key_book.forget()  # now there are keys
    assert asked(open_door, None) == asked(open_door, {"x-api-key": "any"}) == (None, "keep_alive")


def test_who_comes_before_all_others(
    door: Door, open_door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only who manages; to let others go first is everybody's."""
    started: list[int] = []
    start = EngineClient.start

    def noted(self: EngineClient, **asked: Any) -> int:
        started.append(asked["priority"])
        return start(self, **asked)

    monkeypatch.setattr(EngineClient, "start", noted)

    def asked(of: Door, headers: dict[str, str] | None, priority: int) -> tuple[int, str | None]:
        body = CHAT | {"priority": priority}
        answer = of.client.post("/v1/chat/completions", json=body, headers=headers)
        assert answer.status_code == 200
        return started[-1], answer.headers.get(IGNORED_HEADER)

    assert asked(open_door, None, -1) == (-1, None)
    assert asked(door, door.key("chat"), -1) == (0, "priority")
    assert asked(door, door.key("chat"), 1) == (1, None)
    assert asked(door, door.key("chat", "models:manage"), -1) == (-1, None)
