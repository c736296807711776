"""SmolLM2 through Ollama's API: as Ollama's clients ask for a chat, line by line."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from tests.e2e.server import MODEL, Server, user

pytestmark = pytest.mark.timeout(180)

FRANCE = user("Name the capital of France.")
GREEDY = {"temperature": 0, "num_predict": 24}


def post(server: Server, route: str, **body: Any) -> httpx.Response:
    return httpx.post(f"{server.url}/api/{route}", json={"model": MODEL} | body, timeout=60)


def test_chat(server: Server) -> None:
    """A greedy stream says what OpenAI's route says, and what it took is measured."""
    same = server.client.chat.completions.create(
        model=MODEL, messages=FRANCE, temperature=0, max_tokens=24
    )
    assert same.usage is not None
    response = post(server, "chat", messages=FRANCE, options=GREEDY)
    chunks = [json.loads(line) for line in response.text.splitlines()]
    text = "".join(chunk["message"]["content"] for chunk in chunks)
    assert text == same.choices[0].message.content
    last = chunks[-1]
    assert last["prompt_eval_count"] == same.usage.prompt_tokens
    assert last["eval_count"] == same.usage.completion_tokens
    parts = [last[f"{part}_duration"] for part in ("load", "prompt_eval", "eval")]
    assert all(part > 0 for part in parts)
    assert sum(parts) <= last["total_duration"]


def test_show(server: Server) -> None:
    """What a GGUF file tells of itself, once it is loaded."""
    assert post(server, "generate").json()["done_reason"] == "load"
    shown = post(server, "show").json()
    assert shown["details"] == {
        "parent_model": "",
        "format": "gguf",
        "family": "llama",
        "families": ["llama"],
        "parameter_size": "134.5M",
        "quantization_level": "Q4_1",
    }
    assert shown["model_info"]["llama.context_length"] == 8192
    (loaded,) = httpx.get(f"{server.url}/api/ps").json()["models"]
    assert loaded["name"] == f"{MODEL}:latest"
    assert loaded["size"] > 90e6
