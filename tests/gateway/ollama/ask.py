"""Requests to Ollama's API, and what comes back."""

from __future__ import annotations

from typing import Any

import httpx

USER: Any = [{"role": "user", "content": "Hi"}]


def whole(api: httpx.Client, route: str, model: str, **fields: Any) -> dict[str, Any]:
    response = api.post(route, json={"model": model, "stream": False, **fields})
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/json"
    answer: dict[str, Any] = response.json()
    assert answer["model"] == model
    assert answer["done"] is True
    return answer


def chat(api: httpx.Client, model: str, **fields: Any) -> dict[str, Any]:
    return whole(api, "/chat", model, **({"messages": USER} | fields))


def generate(api: httpx.Client, model: str, **fields: Any) -> dict[str, Any]:
    return whole(api, "/generate", model, **({"prompt": "Hi"} | fields))


def refusal(api: httpx.Client, route: str, **body: Any) -> tuple[int, str]:
    response = api.post(route, json=body)
    error: dict[str, str] = response.json()
    assert list(error) == ["error"]
    return response.status_code, error["error"]
