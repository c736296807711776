"""What the manager is told with each request for a lease: whose it is, how it begins, and for how
long the model is to stay."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from flask import Flask
from tests.gateway.engines import FakeManager

from tricorn.chat import prefix_chain
from tricorn.engines.request import ChatPrompt

USER: Any = {"role": "user", "content": "Hi"}
CHAT: Any = {"model": "echo", "messages": [USER], "max_tokens": 4}


@pytest.fixture
def asked(manager: FakeManager) -> Iterator[list[dict[str, Any]]]:
    """What the calls of this test have said."""
    manager.asked.clear()
    manager.spread = {"echo"}
    yield manager.asked
    manager.spread = set()


def post(http: httpx.Client, path: str, body: Any, **headers: str) -> httpx.Response:
    answer = http.post(
        path, json=body, headers={k.replace("_", "-"): v for k, v in headers.items()}
    )
    assert answer.status_code == 200, answer.text
    return answer


def test_turns_are_by_api_key(http: httpx.Client, asked: list[dict[str, Any]]) -> None:
    """However it is sent, and without telling it."""
    for headers in (
        {"Authorization": "Bearer sk-one"},
        {"x_api_key": "sk-one"},
        {"Authorization": "Bearer sk-two"},
        {},
        {"Authorization": "Bearer "},
    ):
        post(http, "/v1/chat/completions", CHAT, **headers)
    one, same, two, without, empty = (call["key"] for call in asked)
    assert one == same
    assert len({one, two, without}) == 3
    assert without == empty == "127.0.0.1"
    assert "sk-" not in one


def test_every_kind_of_request_says_whose_it_is(
    http: httpx.Client, asked: list[dict[str, Any]]
) -> None:
    post(http, "/v1/chat/completions", CHAT | {"stream": True}, Authorization="Bearer k")
    post(http, "/v1/embeddings", {"model": "vectors", "input": "Hi"}, Authorization="Bearer k")
    post(http, "/api/generate", {"model": "hello"}, Authorization="Bearer k")
    assert len({call["key"] for call in asked}) == 1
    assert asked[0]["key"].startswith("key-")


def test_a_follow_up_turn_begins_as_the_turn_before(
    http: httpx.Client, asked: list[dict[str, Any]]
) -> None:
    """Whichever API it comes by."""
    reply = {"role": "assistant", "content": "Hello!"}
    post(http, "/v1/chat/completions", CHAT)
    post(http, "/v1/chat/completions", CHAT | {"messages": [USER, reply, USER]})
    post(http, "/v1/messages", CHAT)
    post(http, "/api/chat", CHAT)
    first, then, *others = (call["prefix"] for call in asked)
    assert first == prefix_chain.of_chat(ChatPrompt(messages=[USER]), "echo")
    assert (len(first), len(then)) == (1, 3)
    assert then[:1] == first
    assert others == [first, first]


@pytest.mark.parametrize(
    ("prompt", "links"),
    [
        ("x" * 3000, 2),
        (["x" * 1500, "y" * 3000], 1),
        ([5] * 600, 2),
        ("Hi", 0),
    ],
)
def test_plain_prompts_are_in_blocks(
    http: httpx.Client, asked: list[dict[str, Any]], prompt: Any, links: int
) -> None:
    post(http, "/v1/completions", {"model": "echo", "prompt": prompt, "max_tokens": 1})
    assert len(asked[0]["prefix"]) == links


def test_a_gap_begins_with_what_is_before_it(
    http: httpx.Client, manager: FakeManager, asked: list[dict[str, Any]]
) -> None:
    manager.spread = {"gap"}
    body = {"model": "gap", "suffix": "!", "max_tokens": 1}
    post(http, "/v1/completions", body | {"prompt": "x" * 1100})
    post(http, "/v1/completions", body | {"prompt": [5] * 300})
    assert asked[0]["prefix"] == prefix_chain.of_text("x" * 1100, "gap")
    assert asked[1]["prefix"] == prefix_chain.of_tokens([5] * 300, "gap")
    assert [len(call["prefix"]) for call in asked] == [1, 1]


def test_with_one_replica_nothing_is_hashed(
    http: httpx.Client, asked: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prefix_chain, "of_chat", None)
    post(http, "/v1/chat/completions", CHAT | {"model": "hello"})
    assert asked[0]["prefix"] == ()


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", CHAT),
        ("/v1/completions", {"model": "echo", "prompt": "Hi", "max_tokens": 1}),
        ("/v1/embeddings", {"model": "vectors", "input": "Hi"}),
        ("/tokenize", CHAT),
        ("/v1/chat/completions/render", CHAT),
        ("/api/chat", {"model": "echo", "messages": [USER]}),
        ("/api/chat", {"model": "echo"}),
        ("/api/generate", {"model": "echo", "prompt": "Hi"}),
        ("/api/generate", {"model": "echo"}),
        ("/api/embed", {"model": "vectors", "input": "Hi"}),
        ("/api/embed", {"model": "vectors"}),
        ("/api/embeddings", {"model": "vectors", "prompt": "Hi"}),
        ("/api/embeddings", {"model": "vectors"}),
    ],
)
def test_how_long_the_model_stays(
    http: httpx.Client, asked: list[dict[str, Any]], path: str, body: Any
) -> None:
    answers = [
        post(http, path, body | {"keep_alive": value}) for value in ("1m30s", 5, -1, 0.5, None)
    ]
    assert [call["keep_alive_s"] for call in asked] == [90.0, 5.0, math.inf, 0.5, None]
    assert not any("x-tricorn-ignored" in answer.headers for answer in answers)
    refused = http.post(path, json=body | {"keep_alive": "soon"})
    assert refused.status_code == 400
    assert "keep_alive" in refused.text
    if not path.startswith("/api"):
        assert refused.json()["error"]["param"] == "keep_alive"


def test_a_lost_engine_is_asked_for_again_in_the_same_words(
    make_app: Callable[..., Flask], asked: list[dict[str, Any]]
) -> None:
    """By an own manager, for its worker is killed."""
    own = FakeManager({"echo": {}})
    own.worker("echo").kill()
    transport = httpx.WSGITransport(app=make_app(own))  # type: ignore[arg-type]
    with httpx.Client(transport=transport, base_url="http://tricorn") as http:
        post(http, "/v1/chat/completions", CHAT | {"keep_alive": 7})
    own.close()
    assert len(own.asked) == 2
    assert own.asked[0] == own.asked[1] != {}
