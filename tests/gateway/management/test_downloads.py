"""Routes that fetch models, and that remove them as Ollama does."""

from __future__ import annotations

import json
from typing import Any

import httpx
from tests.gateway.engines import FakeManager
from tests.gateway.management.answers import events

from tricorn.errors import ModelNotFound
from tricorn.manager.protocol.calls import Progress


def test_pull(http: httpx.Client, manager: FakeManager) -> None:
    """Waited for, begun, streamed, listed, looked at and cancelled."""
    done = {"object": "model.download", "name": "org/m:Q4", "state": "done"}
    manager.answers |= {"pull": done, "pulls": {"data": [done]}, "pull.state": done}
    manager.answers["pull.cancel"] = {"cancelled": True}
    assert http.post("/v1/models/pull", json={"model": "org/m:Q4"}).json() == done
    begun = http.post("/v1/models/pull?wait=false", json={"name": "org/m:Q4"})
    assert begun.status_code == 202
    assert begun.headers["Location"] == "/v1/models/pull/org/m:Q4"
    assert http.get("/v1/models/pull").json() == {"data": [done]}
    assert http.get(begun.headers["Location"]).json() == done
    assert http.delete(begun.headers["Location"]).json() == {"cancelled": True}
    assert [arguments.get("model") for _, arguments in manager.orders] == [
        "org/m:Q4", "org/m:Q4", None, "org/m:Q4", "org/m:Q4",
    ]  # fmt: skip
    state = done | {"state": "downloading", "completed_bytes": 5}
    manager.answers["pull"] = [Progress(1, "downloading", 0.5, None, state), done]
    told = events(http.post("/v1/models/pull", json={"model": "org/m:Q4", "stream": True}))
    assert told[0]["completed_bytes"] == 5
    assert told[1:] == [done, "[DONE]"]


def test_ollama_pull(http: httpx.Client, manager: FakeManager) -> None:
    """In Ollama's words: a line for what happens to each file, `success` at the end."""
    states: list[dict[str, Any]] = [
        {"state": "starting", "digest": None},
        {
            "state": "downloading",
            "digest": "sha256:0123456789abcdef",
            "file_total_bytes": 10,
            "file_completed_bytes": 4,
        },
        {"state": "verifying", "digest": None},
    ]
    told = [Progress(1, "", None, None, state) for state in states]
    manager.answers["pull"] = [*told, {"state": "done"}]
    answer = http.post("/api/pull", json={"model": "org/m:latest"})
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    assert [json.loads(line) for line in answer.text.splitlines()] == [
        {"status": "pulling manifest"},
        {
            "status": "pulling 0123456789ab",
            "digest": "sha256:0123456789abcdef",
            "total": 10,
            "completed": 4,
        },
        {"status": "verifying sha256 digest"},
        {"status": "success"},
    ]
    assert manager.orders == [("pull", {"model": "org/m"})]
    whole = http.post("/api/pull", json={"model": "org/m", "stream": False})
    assert whole.json() == {"status": "success"}
    manager.answers["pull"] = [*told, ModelNotFound("the hub has no org/m")]
    lines = http.post("/api/pull", json={"model": "org/m"}).text.splitlines()
    assert json.loads(lines[-1]) == {"error": "the hub has no org/m"}


def test_ollama_delete(http: httpx.Client, manager: FakeManager) -> None:
    manager.answers["delete"] = {"deleted": True}
    answer = http.request("DELETE", "/api/delete", json={"model": "plain:latest"})
    assert (answer.status_code, answer.content) == (200, b"")
    assert manager.orders == [("delete", {"model": "plain"})]
