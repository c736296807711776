"""Routes of one model by its name in the path, and of the settings."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest
from flask import Flask
from tests.gateway.engines import FakeManager
from tests.gateway.management.answers import STATUS

from tricorn.errors import Conflict


@pytest.mark.parametrize("name", ["plain", "org/a:Q4", "a b/c@d"])
@pytest.mark.parametrize(
    ("method", "suffix", "command"),
    [
        ("DELETE", "/unload", "unload"),
        ("POST", "/unload", "unload"),
        ("GET", "/status", "status"),
        ("GET", "/status/", "status"),
        ("POST", "/retry", "retry"),
        ("DELETE", "", "delete"),
    ],
)
def test_names_in_paths(
    http: httpx.Client, manager: FakeManager, name: str, method: str, suffix: str, command: str
) -> None:
    """Slashes, colons and spaces are a part of the name."""
    manager.answers[command] = STATUS
    answer = http.request(method, f"/v1/models/{name}{suffix}")
    assert (answer.status_code, answer.json()) == (200, STATUS)
    assert (manager.orders[0][0], manager.orders[0][1]["model"]) == (command, name)


@pytest.mark.parametrize("name", ["..%2Fa", "a%2F..%2F..%2Fb", "a%1Bb", "a%00", "a" * 500])
@pytest.mark.parametrize("suffix", ["/status", "/unload", ""])
def test_bad_names_in_paths(
    http: httpx.Client, manager: FakeManager, name: str, suffix: str
) -> None:
    """400, and nothing is ordered."""
    method = "GET" if suffix == "/status" else "DELETE"
    answer = http.request(method, f"/v1/models/{name}{suffix}")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "model")
    assert http.request(method, f"/v1/models/%2Fetc%2Fpasswd{suffix}").status_code == 404
    assert manager.orders == []


def test_status_has_the_capabilities(http: httpx.Client, manager: FakeManager) -> None:
    """Of the model that is meant, which may have been named by an alias; unless it says no."""
    manager.answers["status"] = {"id": "plain", "state": "UNLOADED"}
    told = http.get("/v1/models/other-name/status").json()["capabilities"]
    assert told == http.get("/v1/models/plain/capabilities").json()
    short = http.get("/v1/models/plain/status?capabilities=false").json()
    assert short == {"id": "plain", "state": "UNLOADED"}


def test_force(http: httpx.Client, manager: FakeManager) -> None:
    """Only when it is asked for; a refusal keeps its status."""
    manager.answers["unload"] = STATUS
    http.delete("/v1/models/plain/unload")
    http.delete("/v1/models/plain/unload?force=true")
    assert [arguments["force"] for _, arguments in manager.orders] == [False, True]
    assert http.delete("/v1/models/plain/unload?force=maybe").json()["error"]["param"] == "force"
    manager.answers["unload"] = Conflict("it is pinned")
    assert http.delete("/v1/models/plain/unload").status_code == 409


def test_exact_ids_win(make_app: Callable[..., Flask]) -> None:
    """A model whose id ends as a route does is reached by its id; what cannot be undone, only where
    no other model is meant."""
    own = FakeManager({"a/status": {}, "b": {}, "b/unload": {}, "c/unload": {}, "pull": {}})
    own.answers = {"unload": STATUS, "delete": STATUS}
    http = make_app(own).test_client()
    assert http.get("/v1/models/a/status").get_json()["id"] == "a/status"
    assert http.get("/v1/models/pull").get_json()["id"] == "pull"
    http.delete("/v1/models/b/unload")
    http.delete("/v1/models/c/unload")
    assert [(name, arguments["model"]) for name, arguments in own.orders] == [
        ("unload", "b"),
        ("delete", "c/unload"),
    ]


def test_reload(http: httpx.Client, manager: FakeManager) -> None:
    manager.answers["reload"] = {"changed": ["ttl"]}
    assert http.post("/v1/admin/reload").json() == {"changed": ["ttl"]}
