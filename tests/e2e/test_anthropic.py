"""Anthropic's Messages API with SmolLM2: an answer, its stream, a call that must be."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from tests.e2e.server import MODEL, Server, user

pytestmark = pytest.mark.timeout(180)

WEATHER: Any = {
    "name": "get_weather",
    "input_schema": {
        "type": "object",
        "properties": {
            "city": {"type": "string", "maxLength": 20},
            "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
        },
        "required": ["city", "unit"],
    },
}
MUST: Any = {
    "messages": user("What is the weather like in Paris, in celsius?"),
    "tools": [WEATHER],
    "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
    "max_tokens": 300,
}


def ask(server: Server, path: str = "", **fields: Any) -> httpx.Response:
    """Greedy and short unless the test says otherwise."""
    body = {
        "model": MODEL,
        "max_tokens": 24,
        "temperature": 0,
        "messages": user("Name the capital of France."),
    }
    answer = httpx.post(
        f"{server.url}/v1/messages{path}",
        json=body | fields,
        headers={"anthropic-version": "2023-06-01"},
        timeout=120,
    )
    assert answer.status_code == 200, answer.text
    return answer


def events(answer: httpx.Response) -> list[dict[str, Any]]:
    lines = answer.text.splitlines()
    return [json.loads(line[6:]) for line in lines if line.startswith("data: ")]


def pieces(answer: httpx.Response, field: str) -> str:
    """All of that field in a stream's deltas."""
    return "".join(event.get("delta", {}).get(field, "") for event in events(answer))


def test_a_message_and_its_stream(server: Server) -> None:
    """They say the same; the second time the prompt is read from the cache."""
    message = ask(server).json()
    [block] = message["content"]
    assert "Paris" in block["text"]
    streamed = ask(server, stream=True)
    assert pieces(streamed, "text") == block["text"]
    usage = events(streamed)[-2]["usage"]
    assert usage["cache_read_input_tokens"] > usage["input_tokens"] > 0
    assert usage["output_tokens"] == message["usage"]["output_tokens"]


def test_a_prefill(server: Server) -> None:
    """The answer goes on with the assistant's last message."""
    begun = [*user("Name the capital of France."),
             {"role": "assistant", "content": "The capital of France is"}]  # fmt: skip
    assert "Paris" in ask(server, messages=begun, max_tokens=4).json()["content"][0]["text"]


@pytest.mark.parametrize("stream", [False, True])
def test_a_call_that_must_be(server: Server, stream: bool) -> None:
    """A model that has never seen a tool calls it, by its schema."""
    answer = ask(server, **MUST, stream=stream)
    if stream:
        given = json.loads(pieces(answer, "partial_json"))
        assert events(answer)[-2]["delta"]["stop_reason"] == "tool_use"
    else:
        [call] = answer.json()["content"]
        given = call["input"]
        assert answer.json()["stop_reason"] == "tool_use"
    assert given["unit"] in ("celsius", "fahrenheit")
    assert 0 < len(given["city"]) <= 20


def test_tokens_are_counted_as_they_are_used(server: Server) -> None:
    """By the model's own template, with the tools in it."""
    asked = {key: MUST[key] for key in ("messages", "tools")}
    counted = ask(server, "/count_tokens", **asked).json()["input_tokens"]
    usage = ask(server, **asked, max_tokens=1).json()["usage"]
    assert counted == usage["input_tokens"] + usage["cache_read_input_tokens"]
