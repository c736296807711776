"""Chats that are too long and may be shortened, over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from tests.gateway.engines import FakeManager, FakeWorker

from tricorn.gateway.app import create_app
from tricorn.settings.config import Settings

TURN = [{"role": "user", "content": "x" * 20}, {"role": "assistant", "content": "y" * 15}]
END = [{"role": "user", "content": "Hi!"}]
DROPPED = {"dropped_messages": 4, "dropped_turns": 2, "dropped_tokens": 108}
HEADER = "messages=4, turns=2, tokens=108"


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    manager = FakeManager({})
    manager.add("small", FakeWorker("small", {}, context_length=100))
    app = create_app(Settings(run_dir=tmp_path_factory.mktemp("run")), manager)
    transport = httpx.WSGITransport(app=app)  # type: ignore[arg-type]
    with httpx.Client(transport=transport, base_url="http://tricorn") as client:
        yield client
    assert manager.leased == 0
    manager.close()


def ask(http: httpx.Client, route: str = "", **fields: Any) -> httpx.Response:
    body = {"model": "small", "messages": TURN * 3 + END, "truncation": "auto", "max_tokens": 9}
    return http.post(f"/v1/chat/completions{route}", json=body | fields)


def test_a_whole_answer_tells_what_was_dropped(http: httpx.Client) -> None:
    """In its body and in a header; usage counts what is left."""
    answer = ask(http)
    told = answer.json()
    assert answer.status_code == 200
    assert told["truncation"] == DROPPED
    assert answer.headers["x-tricorn-truncated"] == HEADER
    assert told["usage"]["prompt_tokens"] == 3 * 54 + 21 - 108
    assert told["choices"][0]["message"]["content"] == "Hi!"


@pytest.mark.parametrize("usage", [False, True])
def test_a_stream_tells_what_was_dropped(http: httpx.Client, usage: bool) -> None:
    """In the header, in each choice's last chunk and in the chunk with the usage."""
    options = {"stream_options": {"include_usage": True}} if usage else {}
    answer = ask(http, stream=True, n=2, **options)
    assert answer.headers["x-tricorn-truncated"] == HEADER
    events = [line[6:] for line in answer.text.splitlines() if line.startswith("data: {")]
    for event in map(json.loads, events):
        last = not event["choices"] or event["choices"][0]["finish_reason"]
        assert event.get("truncation") == (DROPPED if last else None)


def test_what_fits_is_left_alone(http: httpx.Client) -> None:
    """And nothing is told."""
    answer = ask(http, messages=END)
    assert "truncation" not in answer.json()
    assert "x-tricorn-truncated" not in answer.headers


def test_a_chat_is_refused_unless_it_may_be_shortened(http: httpx.Client) -> None:
    """Unasked, and where nothing more may go."""
    unasked = ask(http, truncation=None)
    assert unasked.json()["error"]["code"] == "context_length_exceeded"
    alone = ask(http, messages=[{"role": "user", "content": "x" * 200}])
    assert alone.json()["error"]["code"] == "context_length_exceeded"
    assert "218 tokens" in alone.json()["error"]["message"]


def test_a_rendered_chat_is_what_would_be_sent(http: httpx.Client) -> None:
    """Shortened, with what was dropped; so are its counted tokens."""
    rendered = ask(http, "/render").json()
    assert rendered["truncation"] == DROPPED
    assert rendered["count"] == len(rendered["prompt"]) == 75
    body = {"model": "small", "messages": TURN * 3 + END, "truncation": "auto", "max_tokens": 9}
    counted = http.post("/tokenize", json=body).json()
    assert (counted["count"], counted["truncation"]) == (75, DROPPED)
