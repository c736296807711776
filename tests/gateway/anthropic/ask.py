"""Requests to Anthropic's Messages API, and what comes back."""

from __future__ import annotations

import json
from typing import Any

import httpx
from flask import Flask

MESSAGES = "/v1/messages?beta=true"
HEADERS = {"anthropic-version": "2023-06-01", "anthropic-beta": "a,b", "x-api-key": "none"}
USER: Any = {"role": "user", "content": "Hi"}
WEATHER: Any = {
    "name": "get_weather",
    "description": "Tells the weather.",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
}
OSLO = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Oslo"}}\n</tool_call>'
MODELS: dict[str, dict[str, Any]] = {
    "echo": {},
    "caller": {"answer": f"Let me see.\n{OSLO}"},
    "held": {"constraints": True},
    "held-caller": {"constraints": True, "answer": OSLO},
    "thinker": {
        "answer": "<think>\nHm.\n</think>\n\nYes.",
        "chat_template": (
            "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
            "{% if enable_thinking is defined and not enable_thinking %}<think></think>{% endif %}"
        ),
    },
    "seeing": {"vision": True},
    "vectors": {"pooling": "embed"},
}


def client_of(app: Flask) -> httpx.Client:
    transport = httpx.WSGITransport(app=app)  # type: ignore[arg-type]
    return httpx.Client(transport=transport, base_url="http://tricorn", headers=HEADERS)


def body(model: str, **fields: Any) -> dict[str, Any]:
    return {"model": model, "max_tokens": 200, "messages": [USER]} | fields


def whole(http: httpx.Client, model: str, **fields: Any) -> dict[str, Any]:
    answer = http.post(MESSAGES, json=body(model, **fields))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def events(text: str) -> list[dict[str, Any]]:
    """Each one's data; its name must be its type."""
    found = []
    for event in text.split("\n\n")[:-1]:
        first, second = event.split("\n")
        assert first.startswith("event: ")
        assert second.startswith("data: ")
        data = json.loads(second.removeprefix("data: "))
        assert data["type"] == first.removeprefix("event: ")
        found.append(data)
    return found


def streamed(http: httpx.Client, model: str, **fields: Any) -> list[dict[str, Any]]:
    answer = http.post(MESSAGES, json=body(model, stream=True, **fields))
    assert answer.headers["content-type"].startswith("text/event-stream")
    return events(answer.text)


def failed(http: httpx.Client, path: str = MESSAGES, **fields: Any) -> tuple[int, dict[str, Any]]:
    answer = http.post(path, json=body("echo") | fields)
    found = answer.json()
    assert set(found) == {"type", "error", "request_id"}
    assert found["type"] == "error"
    assert found["request_id"] == answer.headers["request-id"] == answer.headers["x-request-id"]
    assert set(found["error"]) == {"type", "message", "param", "code"}
    return answer.status_code, found["error"]
