"""What a gateway tells the manager of the requests that it has served."""

from __future__ import annotations

import json
import queue
from collections.abc import Callable, Iterator

import httpx
import pytest
from flask import Flask
from tests.gateway.engines import FakeManager

from tricorn.gateway.record import Record
from tricorn.gateway.requests.timing import Timing
from tricorn.gateway.usage import UsageCounter
from tricorn.manager.protocol.usage import EndedRequest, HttpAnswers, Usage

WAIT_S = 15.0
CHAT = {"model": "hello", "messages": [{"role": "user", "content": "my secret"}], "max_tokens": 8}


@pytest.fixture
def manager() -> Iterator[FakeManager]:
    """One of its own: what it is told is looked at."""
    fake = FakeManager({"hello": {"answer": "Hello, you there"}, "vectors": {"pooling": "embed"}})
    yield fake
    fake.close()


def told(manager: FakeManager, requests: int) -> Usage:
    """All until so many requests are told."""
    usage = Usage(0, 0, 0.0, 0, 0)
    while usage.requests < requests or len(usage.ended) < requests:
        usage = usage.plus(manager.usage.get(timeout=WAIT_S))
    return usage


def test_a_stream(http: httpx.Client, manager: FakeManager) -> None:
    """Its times, its tokens, how it ended; no prompt."""
    headers = {"x-request-id": "mine"}
    http.post("/v1/chat/completions", json=CHAT | {"stream": True}, headers=headers)
    usage = told(manager, 1)
    [ended] = usage.ended
    assert (ended.request_id, ended.route, ended.status) == ("mine", "/v1/chat/completions", 200)
    assert (ended.model, ended.served, ended.stream) == ("hello", True, True)
    assert ended.finish_reason == "length"
    assert ended.completion_tokens == usage.completion_tokens == 8
    assert ended.prompt_tokens == usage.prompt_tokens
    assert None not in (ended.queue_s, ended.prefill_s, ended.ttft_s, ended.decode_s)
    assert ended.ttft_s is not None
    assert ended.ttft_s <= ended.seconds
    assert 1 <= sum(ended.gaps) < 8
    assert ended.prompt is None
    assert "secret" not in repr(usage)


def test_a_whole_answer_and_a_call(http: httpx.Client, manager: FakeManager) -> None:
    http.post("/v1/chat/completions", json=CHAT)
    http.post("/v1/embeddings", json={"model": "vectors", "input": "a"})
    first, second = told(manager, 2).ended
    assert (first.stream, first.decode_s is not None) == (False, True)
    assert (second.route, second.model, second.served) == ("/v1/embeddings", "vectors", True)
    assert (second.queue_s is not None, second.ttft_s, second.gaps) == (True, None, [])


def test_tokens_that_no_model_has_worked_on(http: httpx.Client, manager: FakeManager) -> None:
    """Text that is only taken apart counts as a request, as it does for its key."""
    http.post("/tokenize", json={"model": "hello", "prompt": "a b c"})
    usage = told(manager, 1)
    assert (usage.prompt_tokens, usage.ended[0].prompt_tokens) == (0, None)
    assert usage.ended[0].served


def test_what_is_refused(http: httpx.Client, manager: FakeManager) -> None:
    """With its code, and without a model that served it."""
    http.post("/v1/chat/completions", json=CHAT | {"model": "none"})
    [ended] = told(manager, 1).ended
    assert (ended.status, ended.error) == (404, "model_not_found")
    assert (ended.model, ended.served) == ("none", False)


def test_all_routes_are_counted_by_their_rule(http: httpx.Client, manager: FakeManager) -> None:
    """Not by what a client made of it; only requests to models are told one by one."""
    http.get("/health")
    http.get("/v1/models/hello")
    http.get("/v1/models/hello")
    http.get("/nowhere/at/all")
    http.request("INVENTED", "/health")
    http.post("/v1/chat/completions", json=CHAT)
    usage = told(manager, 1)
    found = {(one.method, one.route, one.status): one.count for one in usage.answers}
    assert found["GET", "/health", 200] == 1
    assert found["GET", "none", 404] == 1
    assert "INVENTED" not in repr(found)
    assert [key for key in found if key[0] == "other"]
    assert sum(count for (_, route, _), count in found.items() if "models/" in route) == 2
    assert len(usage.ended) == 1


@pytest.mark.parametrize(
    ("route", "body", "shown"),
    [
        ("chat/completions", CHAT, "my secret"),
        ("completions", {"model": "hello", "prompt": "my secret", "max_tokens": 1}, "my secret"),
        ("embeddings", {"model": "vectors", "input": ["my secret"]}, "my secret"),
    ],
)
def test_prompts_where_they_are_wanted(
    make_app: Callable[..., Flask],
    manager: FakeManager,
    route: str,
    body: dict[str, object],
    shown: str,
) -> None:
    """LOG_PROMPTS."""
    transport = httpx.WSGITransport(app=make_app(log_prompts=True))  # type: ignore[arg-type]
    with httpx.Client(transport=transport, base_url="http://tricorn") as client:
        client.post(f"/v1/{route}", json=body)
    [ended] = told(manager, 1).ended
    assert ended.prompt is not None
    assert shown in json.dumps(json.loads(ended.prompt))


def test_nothing_is_lost_while_the_manager_is_away(
    make_app: Callable[..., Flask], manager: FakeManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told later, in its order."""
    services = make_app().extensions["tricorn"]
    there = queue.SimpleQueue[Usage]()
    refusals = iter([False, False])

    def report(usage: Usage) -> bool:
        if next(refusals, True):
            there.put(usage)
            return True
        counter.line(b"later")
        return False

    monkeypatch.setattr(manager, "report", report)
    counter = UsageCounter(services, interval_s=0.01)
    ended = EndedRequest(0.0, "r", "/x", 500, 1.0)
    counter.line(b"first")
    counter.answered("GET", "/x", 200)
    counter.add(Record("r", "POST", "/x"), ended)
    usage = there.get(timeout=WAIT_S)
    assert (usage.requests, usage.failed, usage.ended) == (1, 1, [ended])
    assert usage.answers == [HttpAnswers("GET", "/x", 200, 1)]
    assert usage.lines[0] == b"first"
    assert usage.lines.count(b"later") == 2


def test_what_is_left_is_told_at_the_end(
    make_app: Callable[..., Flask], manager: FakeManager
) -> None:
    """A gateway process that ends does not wait for its next report."""
    services = make_app().extensions["tricorn"]
    counter = UsageCounter(services, interval_s=3600)
    counter.answered("GET", "/x", 200)
    counter.flush()
    assert manager.usage.get_nowait().answers == [HttpAnswers("GET", "/x", 200, 1)]
    counter.flush()
    assert manager.usage.empty()


def test_timing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each phase from its own beginning; gaps of the first sequence only."""
    now = [10.0]
    monkeypatch.setattr("tricorn.gateway.requests.timing.time.monotonic", lambda: now[0])
    timing = Timing()
    assert timing.seconds(10.0) == {}

    def at(moment: float, act: Callable[[], None]) -> None:
        now[0] = moment
        act()

    at(11.0, timing.asked)
    at(13.0, timing.granted)
    at(14.0, lambda: timing.token(first_sequence=True))
    at(14.5, lambda: timing.token(first_sequence=False))
    at(16.0, lambda: timing.token(first_sequence=True))
    at(17.0, lambda: timing.token(first_sequence=False))
    assert timing.seconds(10.0) == {
        "queue_s": 2.0,
        "prefill_s": 1.0,
        "ttft_s": 4.0,
        "decode_s": 3.0,
    }
    assert (sum(timing.gaps), timing.gaps_s) == (1, 2.0)
