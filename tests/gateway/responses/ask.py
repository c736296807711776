"""Requests to the Responses API, and what comes back, held to OpenAI's models."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pydantic
from openai.types.responses import Response, ResponseStreamEvent

WEATHER: Any = {
    "type": "function",
    "name": "get_weather",
    "description": "Tells the weather.",
    "parameters": {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
    "strict": False,
}
NOW: Any = {"type": "function", "name": "now", "parameters": None, "strict": None}
EVENT: pydantic.TypeAdapter[Any] = pydantic.TypeAdapter(ResponseStreamEvent)


def post(http: httpx.Client, **body: Any) -> httpx.Response:
    return http.post("/v1/responses", json=body)


def strict(body: dict[str, Any]) -> dict[str, Any]:
    Response.model_validate(body, strict=True)
    return body


def raw_events(http: httpx.Client, **body: Any) -> list[dict[str, Any]]:
    """What is on the wire, as a browser's EventSource reads it."""
    answer = post(http, stream=True, **body)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/event-stream")
    found = []
    for block in answer.text.removesuffix("\n\n").split("\n\n"):
        name, data = block.split("\n")
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        EVENT.validate_python(event, strict=True)
        found.append(event)
    return found
