"""Many requests at once on one engine."""

from __future__ import annotations

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import openai
import pytest
from tests.e2e.server import MODEL, Server, user

pytestmark = pytest.mark.timeout(120)

WORDS = ("stone", "river", "window", "garden", "letter", "winter", "mirror", "bridge")


def test_sixteen_streams(client: openai.OpenAI) -> None:
    """Sixteen streams at once: each is whole, with its own prompt's count and its own end."""

    def ask(number: int) -> tuple[int, int, list[str | None]]:
        chunks = client.chat.completions.create(
            model=MODEL,
            messages=user(f"Say {'very ' * number}briefly: what is a {WORDS[number % 8]}?"),
            max_tokens=16,
            temperature=0,
            stream=True,
            stream_options={"include_usage": True},
            extra_body={"ignore_eos": True},
        )
        text, ends, usage = "", [], None
        for chunk in chunks:
            usage = chunk.usage or usage
            for choice in chunk.choices:
                text += choice.delta.content or ""
                ends += [choice.finish_reason] if choice.finish_reason else []
        assert text
        assert usage is not None
        return usage.prompt_tokens, usage.completion_tokens, ends

    with ThreadPoolExecutor(16) as threads:
        found = list(threads.map(ask, range(16)))
    assert [(count, ends) for _, count, ends in found] == [(16, ["length"])] * 16
    assert len({prompt for prompt, _, _ in found}) == 16


def test_more_than_there_are_places(client: openai.OpenAI) -> None:
    """Beyond the engine's places requests wait for one, and all are answered."""

    def ask(number: int) -> int:
        answer = client.chat.completions.create(
            model=MODEL, messages=user(f"Number {number}?"), max_tokens=3, n=4, temperature=0
        )
        return len(answer.choices)

    with ThreadPoolExecutor(10) as threads:
        assert list(threads.map(ask, range(10))) == [4] * 10


def test_burst_shares_its_prefix(client: openai.OpenAI) -> None:
    """Eight requests at once with one long system prompt: it is computed once."""
    rules = " ".join(f"Rule {n}: never open door {n * 13}." for n in range(50))
    system = {"role": "system", "content": f"You keep the doors. {rules}"}

    def ask(number: int) -> Any:
        answer = client.chat.completions.create(
            model=MODEL,
            messages=[system, *user(f"{WORDS[number]}: is it a door?")],  # type: ignore[list-item]
            max_tokens=2,
        )
        return answer.usage

    with ThreadPoolExecutor(8) as threads:
        usages = list(threads.map(ask, range(8)))
    shared = [usage.prompt_tokens_details.cached_tokens for usage in usages]
    # One of them had to compute it, and says so; it shares no more than the template's beginning.
    assert sum(count < 100 for count in shared) == 1
    assert all(
        count > usage.prompt_tokens * 0.8
        for count, usage in zip(shared, usages, strict=True)
        if count >= 100
    )


def test_stream_flows_while_long_prompt_prefills(server: Server) -> None:
    """A long prompt is taken in by parts: a running stream gets tokens between its start and its
    first token."""
    order = itertools.count()
    begun, tokens = threading.Event(), []

    def run() -> None:
        with server.sdk() as own:
            stream = own.chat.completions.create(
                model=MODEL,
                messages=user("Tell me a long story."),
                max_tokens=600,
                temperature=0,
                stream=True,
                extra_body={"ignore_eos": True},
            )
            for _ in stream:
                tokens.append(next(order))
                if len(tokens) > 3:
                    begun.set()
                if first_token.is_set():
                    return

    first_token = threading.Event()
    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert begun.wait(30)
        started = next(order)
        stream = server.client.chat.completions.create(
            model=MODEL,
            messages=user(" ".join(f"Case {n} weighs {n * 3} pounds." for n in range(120))),
            max_tokens=2,
            stream=True,
        )
        next(iter(stream))
        came = next(order)
        stream.close()
    finally:
        first_token.set()
        thread.join(30)
    assert sum(started < token < came for token in tokens) >= 5
