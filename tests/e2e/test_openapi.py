"""What a whole Tricorn answers, held against its `/openapi.json`. With a fake engine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import jsonschema_rs
import pytest
from tests.e2e.server import Server, running

LEAVES_ROOM = True
MODELS = {"echo": {"engine": "fake"}, "other": {"engine": "fake"}}
CALLS: list[tuple[str, str, str, Any]] = [
    # What is asked, where, the path as it is described, the body.
    ("GET", "/", "/", None),
    ("GET", "/health", "/health", None),
    ("GET", "/ready", "/ready", None),
    ("GET", "/v1/models", "/v1/models", None),
    ("GET", "/v1/models/echo", "/v1/models/{model}", None),
    ("GET", "/v1/models/echo/capabilities", "/v1/models/{model}/capabilities", None),
    ("GET", "/v1/models/echo/status", "/v1/models/{model}/status", None),
    ("GET", "/v1/models/nothing/status", "/v1/models/{model}/status", None),
    ("POST", "/v1/models/load", "/v1/models/load", {"model_name": "other"}),
    ("GET", "/api/ps", "/api/ps", None),
    ("GET", "/api/tags", "/api/tags", None),
    ("POST", "/api/show", "/api/show", {"model": "other"}),
    ("POST", "/v1/models/other/retry", "/v1/models/{model}/retry", None),
    ("DELETE", "/v1/models/other/unload", "/v1/models/{model}/unload", None),
    ("DELETE", "/v1/models/other", "/v1/models/{model}", None),
    ("GET", "/v1/models/pull", "/v1/models/pull", None),
    ("GET", "/v1/models/pull/org/name", "/v1/models/pull/{model}", None),
    ("POST", "/instances", "/instances", {"model_name": "echo", "name": "mine", "ttl": "1h"}),
    ("POST", "/instances", "/instances", {"model_name": "echo", "name": "mine"}),
    ("GET", "/instances", "/instances", None),
    ("GET", "/instances/mine", "/instances/{instance_id}", None),
    ("DELETE", "/instances/mine", "/instances/{instance_id}", None),
    ("GET", "/v1/system/status", "/v1/system/status", None),
    ("GET", "/v1/system/health", "/v1/system/health", None),
    ("GET", "/v1/system/metrics", "/v1/system/metrics", None),
    ("GET", "/v1/logs/recent", "/v1/logs/recent", None),
    ("POST", "/v1/admin/log-level", "/v1/admin/log-level", {"level": "INFO"}),
    ("POST", "/v1/admin/reload", "/v1/admin/reload", None),
    ("GET", "/admin/usage", "/admin/usage", None),
]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    config = json.dumps({"models": MODELS})
    with running(config=config, default_model="echo", mode="prod", workers=1) as found:
        yield found


@pytest.fixture(scope="module")
def described(server: Server) -> dict[str, Any]:
    """Closed: what is answered has no field that is not described."""
    found: dict[str, Any] = httpx.get(f"{server.url}/openapi.json", timeout=30).json()
    for schema in found["components"]["schemas"].values():
        if "properties" in schema:
            schema.setdefault("additionalProperties", False)
    return found


def test_answers_are_as_described(server: Server, described: dict[str, Any]) -> None:
    """Statuses and bodies, also of what the manager tells."""
    for method, path, template, body in CALLS:
        answer = httpx.request(method, server.url + path, json=body, timeout=30)
        responses = described["paths"][template][method.lower()]["responses"]
        status = str(answer.status_code)
        assert status in responses, (method, path, answer.text)
        schema = responses[status]["content"]["application/json"]["schema"]
        whole = {**schema, "components": described["components"]}
        jsonschema_rs.Draft202012Validator(whole).validate(answer.json())


def test_an_event_is_as_described(server: Server, described: dict[str, Any]) -> None:
    """Of the stream that has no end."""
    schema = {**described["components"]["schemas"]["TricornEvent"]}
    validator = jsonschema_rs.Draft202012Validator(schema)
    httpx.post(f"{server.url}/v1/models/load", json={"model_name": "other"}, timeout=30)
    with httpx.stream("GET", f"{server.url}/v1/events", params={"after": 0}) as stream:
        lines = (line for line in stream.iter_lines() if line.startswith("data: "))
        validator.validate(json.loads(next(lines).removeprefix("data: ")))
