"""Routes that load a model: whole answers, streams, and what is refused."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from tests.gateway.engines import FakeManager
from tests.gateway.management.answers import STATUS, events

from tricorn.errors import ModelLoadFailed
from tricorn.manager.protocol.calls import Progress


def test_load_waits(http: httpx.Client, manager: FakeManager) -> None:
    """The name and the options go to the manager; its status comes back."""
    manager.answers["load"] = STATUS
    body = {
        "model": "org/a:Q4",
        "model_path": "x.gguf",
        "engine": "llama.cpp",
        "engine_args": {"n_batch": 8},
        "keep_alive": "5m",
        "replicas": 2,
        "pinned": True,
    }
    answer = http.post("/v1/models/load", json=body)
    assert (answer.status_code, answer.json()) == (200, STATUS)
    [(command, arguments)] = manager.orders
    assert command == "load"
    assert arguments.pop("request_id").startswith("req_")
    assert arguments == {
        "model": "org/a:Q4",
        "settings": {
            "path": "x.gguf",
            "engine": "llamacpp",
            "engine_args": {"n_batch": 8},
            "ttl": 300.0,
            "replicas": 2,
            "pinned": True,
        },
        "reset": False,
        "wait": True,
    }


@pytest.mark.parametrize("how", [{"params": {"wait": "false"}}, {"json": {"wait": False}}])
def test_load_without_waiting(
    http: httpx.Client, manager: FakeManager, how: dict[str, Any]
) -> None:
    """202, and where it is told how it goes."""
    manager.answers["load"] = {"id": "org/a:Q4", "state": "LOADING"}
    how = how | {"json": {"model_name": "org/a:Q4"} | how.get("json", {})}
    answer = http.post("/v1/models/load", **how)
    assert answer.status_code == 202
    assert answer.headers["Location"] == "/v1/models/org/a:Q4/status"
    assert manager.orders[0][1]["wait"] is False
    assert manager.orders[0][1]["settings"] == {}


def test_load_does_not_stream_unasked(http: httpx.Client, manager: FakeManager) -> None:
    """Where both are welcome it answers at once."""
    manager.answers["load"] = STATUS
    for accept in ("*/*", "application/json, text/event-stream"):
        headers = {"Accept": accept}
        answer = http.post("/v1/models/load", json={"model": "plain"}, headers=headers)
        assert answer.json() == STATUS


@pytest.mark.parametrize(
    "how",
    [
        {"params": {"stream": "true"}},
        {"headers": {"Accept": "text/event-stream"}},
        {"body": {"stream": True}},
    ],
)
def test_load_streams(http: httpx.Client, manager: FakeManager, how: dict[str, Any]) -> None:
    """Each progress, the answer at the end; or the error that ends it."""
    half = Progress(1, "reading weights", 0.5, 2.0)
    manager.answers["load"] = [half, STATUS]
    body = {"model_name": "plain"} | how.pop("body", {})
    told = events(http.post("/v1/models/load", json=body, **how))
    assert told == [
        {"object": "progress", "status": "reading weights", "progress": 0.5, "eta_s": 2.0},
        STATUS,
        "[DONE]",
    ]
    manager.answers["load"] = [half, ModelLoadFailed("it is broken")]
    told = events(http.post("/v1/models/load", json=body, **how))
    assert told[1:] == [
        {
            "error": {
                "message": "it is broken",
                "type": "server_error",
                "param": None,
                "code": "model_load_failed",
            }
        }
    ]
    manager.answers["load"] = ModelLoadFailed("at once")
    assert http.post("/v1/models/load", json=body, **how).status_code == 503


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "model_name"),
        ({"model_name": "../a"}, "model_name"),
        ({"model_name": "a/../../b"}, "model_name"),
        ({"model_name": "/etc/passwd"}, "model_name"),
        ({"model_name": "a\nb"}, "model_name"),
        ({"model_name": "a\x00b"}, "model_name"),
        ({"model_name": "a" * 1000}, "model_name"),
        ({"model": "", "ttl": 1}, "model"),
        ({"model_name": 5}, "model_name"),
        ({"model_name": "a", "model_path": "x\x1b[2J"}, "model_path"),
        ({"model_name": "a", "model_path": "x" * 5000}, "model_path"),
        ({"model_name": "a", "engine_type": "torch"}, "engine_type"),
        ({"model_name": "a", "engine_args": []}, "engine_args"),
        ({"model_name": "a", "ttl": "soon"}, "ttl"),
        ({"model_name": "a", "replicas": 0}, "replicas"),
        ({"model_name": "a", "context_lenght": 64}, "context_lenght"),
        ({"model_name": "a", "env": {"LD_PRELOAD": "x"}}, "env"),
    ],
)
def test_bad_loads(
    http: httpx.Client, manager: FakeManager, body: dict[str, Any], param: str
) -> None:
    """400 that names the field; nothing is ordered. Also a field that nobody knows."""
    answer = http.post("/v1/models/load", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
    assert manager.orders == []
