"""What else goes by the key: limits, stored responses, a word for thoughts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from tests.gateway.access.door import CHAT, Door
from tests.gateway.engines import FakeManager

from tricorn.access.rate import Rate
from tricorn.chat.chat_completion import ChatCompletion
from tricorn.chat.reasoning import FIELDS
from tricorn.errors import RateLimitExceeded
from tricorn.gateway.routes import chat
from tricorn.manager.protocol.calls import Granted

# --- limits ---------------------------------------------------------------------------------------


def test_the_manager_is_told_whose_it_is_and_what_it_took(door: Door, manager: FakeManager) -> None:
    """The key's id, its limits, what the request may take, and in the end what it has taken."""
    headers = door.key("chat", tokens_per_minute=1000, weight=3.0)
    (key,) = door.services.keys.all()
    manager.tokens.clear()
    answer = door.client.post("/v1/chat/completions", json=CHAT, headers=headers)
    usage = answer.get_json()["usage"]
    asked = manager.asked[-1]
    assert asked["key"] == asked["claim"].key_id == key.id
    assert asked["claim"].allowance == key.terms.allowance()
    assert asked["claim"].reserve == 4 + 1 + len("userHi") // 4
    assert manager.tokens == [(usage["prompt_tokens"], usage["completion_tokens"])]
    door.client.post("/v1/chat/completions", json=CHAT, headers=door.key("chat"))
    assert manager.asked[-1]["claim"].reserve == 0, "nobody needs it"


def test_limits_in_headers(
    make_app: Callable[..., Flask], manager: FakeManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenAI's names, on answers, streams and refusals."""
    rate = Rate(60, 59, 1.0, 1000, 900, 6.0)
    grant = Granted

    def rated(*facts: Any) -> Granted:
        return grant(*facts, rate=rate)

    door = Door(make_app(manager))
    monkeypatch.setattr("tests.gateway.engines.Granted", rated)
    for stream in (False, True):
        answer = door.client.post("/v1/chat/completions", json=CHAT | {"stream": stream})
        assert answer.headers["x-ratelimit-limit-requests"] == "60"
        assert answer.headers["x-ratelimit-remaining-tokens"] == "900"
        assert answer.headers["x-ratelimit-reset-tokens"] == "6s"
        assert "anthropic-ratelimit-tokens-limit" not in answer.headers
        answer.get_data()
    for stream in (False, True):
        answer = door.client.post("/v1/messages", json=CHAT | {"stream": stream})
        assert answer.headers["anthropic-ratelimit-requests-remaining"] == "59"
        assert answer.headers["anthropic-ratelimit-tokens-reset"].endswith("Z")
        assert answer.headers["x-ratelimit-limit-requests"] == "60"
        answer.get_data()

    def refuse(model: str, request_id: str, inbox: Any, **asked: Any) -> int:
        error = RateLimitExceeded("slowly", retry_after_s=1.2)
        error.rate = rate
        inbox.put(error)
        return 1

    monkeypatch.setattr(manager, "acquire", refuse)
    refused = door.client.post("/v1/chat/completions", json=CHAT)
    assert refused.status_code == 429
    assert refused.get_json()["error"]["code"] == "rate_limit_exceeded"
    assert refused.headers["Retry-After"] == "2"
    assert refused.headers["x-ratelimit-remaining-requests"] == "59"
    refused = door.client.post("/v1/messages", json=CHAT)
    assert refused.get_json()["error"]["type"] == "rate_limit_error"
    assert refused.headers["anthropic-ratelimit-requests-remaining"] == "59"
    refused = door.client.post("/api/chat", json=CHAT)
    assert (refused.status_code, refused.get_json()) == (429, {"error": "slowly"})


# --- what else a key decides ----------------------------------------------------------------------


def test_stored_responses_are_their_keys(door: Door) -> None:
    """For another key they are not there."""
    mine, others = door.key("chat"), door.key("all")
    body = {"model": "plain", "input": "Hi", "max_output_tokens": 4}
    made = door.client.post("/v1/responses", json=body, headers=mine).get_json()["id"]
    for method, path in (
        ("GET", f"/v1/responses/{made}"),
        ("GET", f"/v1/responses/{made}/input_items"),
        ("DELETE", f"/v1/responses/{made}"),
    ):
        assert door.status(path, others, method=method) == 404
    follow = body | {"previous_response_id": made}
    assert door.status("/v1/responses", others, method="POST", json=follow) == 400
    assert door.status("/v1/responses", mine, method="POST", json=follow) == 200
    assert door.status(f"/v1/responses/{made}", mine) == 200


def test_the_name_of_thoughts_by_key(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """It goes before the setting."""
    seen: list[Any] = []

    class Completion(ChatCompletion):
        def __init__(self, *facts: Any, **options: Any) -> None:
            seen.append(options["thoughts"])
            super().__init__(*facts, **options)

    monkeypatch.setattr(chat, "ChatCompletion", Completion)
    for name in ("reasoning", "reasoning_content", None):
        headers = door.key("chat", reasoning_field=name)
        door.client.post("/v1/chat/completions", json=CHAT, headers=headers)
    assert seen == [FIELDS["reasoning"], FIELDS["reasoning_content"], FIELDS["both"]]
