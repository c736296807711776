"""Pages of other sites neither manage models nor read what is there."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest
from flask import Flask
from tests.gateway.engines import FakeManager
from tests.gateway.management.answers import STATUS

MANAGING = [
    ("POST", "/v1/models/load"),
    ("DELETE", "/v1/models/plain/unload"),
    ("POST", "/v1/models/plain/unload"),
    ("DELETE", "/v1/models/plain"),
    ("POST", "/v1/models/pull"),
    ("POST", "/v1/admin/reload"),
    ("POST", "/instances"),
    ("DELETE", "/instances/x"),
    ("POST", "/api/pull"),
    ("DELETE", "/api/delete"),
]


@pytest.mark.parametrize(("method", "path"), MANAGING)
def test_pages_of_others_do_not_manage(
    http: httpx.Client, manager: FakeManager, method: str, path: str
) -> None:
    """403 for any other origin, although any may use models; nothing lets it read the answer."""
    for origin in ("https://evil.example", "null", "http://localhost:9999", "http://[bad"):
        headers = {"Origin": origin}
        answer = http.request(method, path, headers=headers, json={"model": "plain"})
        assert answer.status_code == 403
        assert "Access-Control-Allow-Origin" not in answer.headers
        ask = headers | {"Access-Control-Request-Method": method}
        preflight = http.options(path, headers=ask)
        assert "Access-Control-Allow-Origin" not in preflight.headers
    assert manager.orders == []


@pytest.mark.parametrize("path", ["/v1/events", "/v1/system/metrics", "/instances"])
def test_pages_of_others_do_not_read(http: httpx.Client, manager: FakeManager, path: str) -> None:
    manager.answers |= {"system": {}, "instances.list": {}}
    with http.stream("GET", path, headers={"Origin": "https://evil.example"}) as answer:
        assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize(
    ("origin", "host", "listens_on", "status"),
    [
        ("http://127.0.0.1:8000", "127.0.0.1:8000", "127.0.0.1", 200),
        ("http://localhost:8000", "localhost:8000", "127.0.0.1", 200),
        ("http://[::1]:8000", "[::1]:8000", "::1", 200),
        ("http://gpu.lan:8000", "gpu.lan:8000", "0.0.0.0", 200),
        ("https://a.example", "127.0.0.1:8000", "127.0.0.1", 200),
        # Another port is another server, and a name of loopback may have been given by anybody.
        ("http://localhost:3000", "localhost:8000", "127.0.0.1", 403),
        ("http://evil.example:8000", "evil.example:8000", "127.0.0.1", 403),
        ("http://evil.example", "gpu.lan:8000", "0.0.0.0", 403),
    ],
)
def test_our_own_pages_manage(
    make_app: Callable[..., Flask],
    manager: FakeManager,
    origin: str,
    host: str,
    listens_on: str,
    status: int,
) -> None:
    """Those of the server itself, and those that CORS_ORIGINS names."""
    manager.answers["unload"] = STATUS
    app = make_app(manager, host=listens_on, auth="off", cors_origins=["https://a.example", "*"])
    headers = {"Origin": origin, "Host": host}
    answer = app.test_client().delete("/v1/models/plain/unload", headers=headers)
    assert answer.status_code == status
    named = origin == "https://a.example"
    assert ("Access-Control-Allow-Origin" in answer.headers) == named


def test_preflight_of_a_named_origin(make_app: Callable[..., Flask], manager: FakeManager) -> None:
    """It may DELETE too."""
    http = make_app(manager, cors_origins=["https://a.example"]).test_client()
    ask = {"Origin": "https://a.example", "Access-Control-Request-Method": "DELETE"}
    answer = http.options("/v1/models/org/a:Q4/unload", headers=ask)
    assert answer.status_code == 204
    assert "DELETE" in answer.headers["Access-Control-Allow-Methods"]
