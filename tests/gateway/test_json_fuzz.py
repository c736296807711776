"""Bodies of any kind for every route that takes one: an answer in JSON, never a fault of ours."""

from __future__ import annotations

import copy
import json
import logging
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tricorn.schemas.endpoints import ENDPOINTS, Endpoint

USER = [{"role": "user", "content": "Hi"}]
BODIES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"model": "bound", "messages": USER, "tools": []},
    "/v1/completions": {"model": "gap", "prompt": "Hi"},
    "/v1/responses": {"model": "bound", "input": "Hi", "store": False},
    "/v1/messages": {"model": "bound", "messages": USER, "max_tokens": 5},
    "/v1/embeddings": {"model": "vectors", "input": ["Hi"]},
    "/v1/rerank": {"model": "ranks", "query": "Hi", "documents": ["Ho", "Hi"]},
    "/v1/score": {"model": "ranks", "text_1": "Hi", "text_2": ["Ho"]},
    "/api/chat": {"model": "bound", "messages": USER, "stream": False},
    "/api/generate": {"model": "bound", "prompt": "Hi", "stream": False},
    "/api/embed": {"model": "vectors", "input": "Hi"},
    "/api/embeddings": {"model": "vectors", "prompt": "Hi"},
}
SMALL = st.one_of(
    st.none(), st.booleans(), st.integers(-3, 5), st.integers(), st.floats(), st.text(max_size=12),
    st.sampled_from(["user", "system", "auto", "json_schema", "text", "image_url", "a" * 5000,
                     "data:image/png;base64,AAAA", "\ud800", "\x00", "required", "function"]),
)  # fmt: skip
NAMES = st.sampled_from(
    ["type", "role", "content", "name", "function", "parameters", "text", "image_url", "url", "id",
     "schema", "json_schema", "properties", "arguments", "tool_calls", "x"]
)  # fmt: skip
VALUES = st.recursive(
    SMALL,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
NESTED = st.integers(1, 900).map(lambda depth: json.loads("[" * depth + "]" * depth))


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Of every value inside."""
    found = [path]
    pairs = enumerate(value) if isinstance(value, list) else ()
    for key, inner in value.items() if isinstance(value, dict) else pairs:
        found += places(inner, (*path, key))
    return found


@st.composite
def bodies(draw: st.DrawFn, endpoint: Endpoint) -> dict[str, Any]:
    """One that would be answered, with some of it replaced and some added."""
    body = copy.deepcopy(BODIES[endpoint.path])
    for _ in range(draw(st.integers(1, 3))):
        inner = [path for path in places(body)[1:] if path != ("model",)]
        *way, last = draw(st.sampled_from(inner))
        inside: Any = body
        for step in way:
            inside = inside[step]
        inside[last] = draw(VALUES | NESTED)
    fields = st.sampled_from(sorted(set(endpoint.request.model_fields) - {"model"}))
    return body | draw(st.dictionaries(fields, VALUES, max_size=3))


def test_each_route_has_a_body() -> None:
    assert {endpoint.path for endpoint in ENDPOINTS} == set(BODIES)


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.path)
def test_any_body(http: httpx.Client, endpoint: Endpoint, caplog: pytest.LogCaptureFixture) -> None:
    """Answered, or refused by a sentence; nothing is logged as an error."""

    @settings(
        deadline=None,
        max_examples=60,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
    @given(body=bodies(endpoint))
    def answered(body: dict[str, Any]) -> None:
        text = json.dumps(body)  # NaN and Infinity as well, as Python's clients write them
        with caplog.at_level(logging.ERROR):
            headers = {"Content-Type": "application/json"}
            with http.stream("POST", endpoint.path, content=text, headers=headers) as answer:
                assert answer.status_code < 500, (answer.status_code, body, answer.read())
                if answer.status_code != 200:
                    assert isinstance(json.loads(answer.read()), dict)
        assert not caplog.records

    answered()
