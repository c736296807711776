"""`/metrics`, `/v1/logs/recent`, `/v1/admin/log-level`: what they order, and what they refuse."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from tests.gateway.engines import FakeManager


@pytest.fixture
def manager() -> Iterator[FakeManager]:
    """One of its own: orders are looked at."""
    fake = FakeManager({})
    yield fake
    fake.close()


def test_metrics(http: httpx.Client, manager: FakeManager) -> None:
    """As the manager wrote them, in Prometheus's own type."""
    manager.answers["metrics"] = {"text": "tricorn_models_loaded 1\n"}
    answer = http.get("/metrics")
    assert (answer.status_code, answer.text) == (200, "tricorn_models_loaded 1\n")
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert manager.orders == [("metrics", {})]


def test_recent_lines(http: httpx.Client, manager: FakeManager) -> None:
    manager.answers["logs.recent"] = {"object": "list", "data": []}
    assert http.get("/v1/logs/recent").json() == {"object": "list", "data": []}
    http.get("/v1/logs/recent", params={"limit": "5", "level": "error", "model": "m"})
    assert manager.orders == [
        ("logs.recent", {"limit": 100, "level": "DEBUG", "model": None}),
        ("logs.recent", {"limit": 5, "level": "ERROR", "model": "m"}),
    ]


@pytest.mark.parametrize(
    ("param", "value"),
    [("limit", "0"), ("limit", "1001"), ("limit", "-1"), ("limit", "²"),
     ("limit", "000000001" + "9" * 20), ("limit", "1" * 5000), ("level", "loud")],
)  # fmt: skip
def test_recent_lines_refuses(
    http: httpx.Client, manager: FakeManager, param: str, value: str
) -> None:
    answer = http.get("/v1/logs/recent", params={param: value})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
    assert manager.orders == []


def test_the_level(http: httpx.Client, manager: FakeManager) -> None:
    manager.answers["logs.level"] = {"object": "log_level", "level": "DEBUG", "before": "INFO"}
    answer = http.post("/v1/admin/log-level", json={"level": "debug"})
    assert (answer.status_code, answer.json()["level"]) == (200, "DEBUG")
    assert manager.orders == [("logs.level", {"level": "DEBUG"})]


@pytest.mark.parametrize("body", [{}, {"level": "LOUD"}, {"level": 3}, {"level": "INFO", "x": 1}])
def test_the_level_refuses(
    http: httpx.Client, manager: FakeManager, body: dict[str, object]
) -> None:
    answer = http.post("/v1/admin/log-level", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] in ("level", "x")
    assert manager.orders == []


def test_pages_of_others_set_no_level(http: httpx.Client, manager: FakeManager) -> None:
    headers = {"Origin": "https://elsewhere.example"}
    answer = http.post("/v1/admin/log-level", json={"level": "DEBUG"}, headers=headers)
    assert answer.status_code == 403
    assert manager.orders == []
