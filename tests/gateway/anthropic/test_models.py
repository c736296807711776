"""Anthropic's list of models."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from tests.gateway.anthropic.ask import MODELS


def test_models(http: httpx.Client) -> None:
    """Anthropic's shape for its clients, OpenAI's for all others."""
    found = http.get("/v1/models").json()
    assert set(found) == {"data", "has_more", "first_id", "last_id"}
    assert (found["first_id"], found["last_id"]) == ("echo", "vectors")
    assert found["has_more"] is False
    model = http.get("/v1/models/echo").json()
    assert model == found["data"][0]
    assert (model["type"], model["id"], model["display_name"]) == ("model", "echo", "echo")
    assert model["created_at"] == "2023-11-14T22:13:20Z"
    del http.headers["anthropic-version"]
    assert http.get("/v1/models").json()["object"] == "list"
    assert http.get("/v1/models/echo").json()["object"] == "model"


def test_pages_of_models(http: httpx.Client) -> None:
    """Forwards and backwards, as the SDK turns them."""
    names = list(MODELS)

    def page(**asked: Any) -> tuple[list[str], bool]:
        found = http.get("/v1/models", params=asked).json()
        return [model["id"] for model in found["data"]], found["has_more"]

    assert page(limit=2) == (names[:2], True)
    assert page(limit=2, after_id=names[1]) == (names[2:4], True)
    assert page(limit=9, after_id=names[1]) == (names[2:], False)
    assert page(limit=2, before_id=names[4]) == (names[2:4], True)
    assert page(after_id=names[-1]) == ([], False)


@pytest.mark.parametrize(
    ("asked", "param"),
    [({"limit": "0"}, "limit"), ({"limit": "x"}, "limit"), ({"limit": f"{1:05000}"}, "limit"),
     ({"after_id": "nope"}, "after_id")],
)  # fmt: skip
def test_pages_that_cannot_be(http: httpx.Client, asked: dict[str, str], param: str) -> None:
    """400 in Anthropic's envelope."""
    answer = http.get("/v1/models", params=asked)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param
    assert answer.json()["type"] == "error"


def test_an_unknown_model(http: httpx.Client) -> None:
    """404 in the envelope of the client that asks."""
    assert http.get("/v1/models/nope").json()["error"]["type"] == "not_found_error"
    del http.headers["anthropic-version"]
    assert http.get("/v1/models/nope").json()["error"]["type"] == "invalid_request_error"
