"""Many requests, aborts, and a crash."""

from __future__ import annotations

import contextlib
import queue
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import psutil
import pytest
from tests.conformance.ask import PROMPT, complete, text
from tests.conformance.conftest import Served
from tests.conformance.engines import PLACES
from tests.e2e.server import events, is_alive
from tests.polling import wait_until

from tricorn.engines.request import SamplingParams
from tricorn.worker.protocol import TextPrompt

MANY = 16


def test_many_at_once(served: Served) -> None:
    """16 requests at once, more than there are places: all are answered, each with its own"""
    prompts = [f"Number {number}: {PROMPT}" for number in range(MANY)]
    alone = {prompt: text(served, prompt, max_tokens=4) for prompt in prompts[:2]}
    with ThreadPoolExecutor(MANY) as threads:
        answers = list(threads.map(lambda prompt: complete(served, prompt, max_tokens=4), prompts))
    assert all(answer.usage and answer.usage.completion_tokens == 4 for answer in answers)
    assert MANY > PLACES
    # In a batch the last digits differ; a prompt's answer is still not another prompt's.
    same = [answers[i].choices[0].text == alone[prompts[i]] for i in range(2)]
    assert any(same)


def test_prefix_cache(served: Served) -> None:
    """A long prompt that comes again is taken from the prefix cache"""
    prompt = " ".join(f"Item {number} is in its place." for number in range(60))
    first = complete(served, prompt, max_tokens=2)
    second = complete(served, prompt, max_tokens=2)
    assert first.usage is not None
    assert second.usage is not None
    assert second.usage.prompt_tokens_details is not None
    cached = second.usage.prompt_tokens_details.cached_tokens
    assert cached is not None
    assert cached > second.usage.prompt_tokens // 2
    assert first.choices[0].text == second.choices[0].text


def test_abort(served: Served) -> None:
    """A client that hangs up frees its place"""
    with served.server.figures() as figures:
        with stream(served) as chunks:
            next(chunks)
            assert figures().running >= 1
        wait_until(lambda: figures().running == 0, 30)


def test_priority(served: Served) -> None:
    """With all places taken, the waiting request of the better priority starts first"""
    done: list[str] = []

    def ask(name: str, priority: int, tokens: int) -> None:
        text(served, max_tokens=tokens, extra_body={"priority": priority})
        done.append(name)

    inbox: queue.SimpleQueue[object] = queue.SimpleQueue()
    sampling = SamplingParams(temperature=0, max_tokens=900, ignore_eos=True)
    with served.server.engine_client() as engine, ThreadPoolExecutor(2) as threads:
        running = [
            engine.start(
                request_id=f"{n}",
                prompt=TextPrompt(f"{n} {PROMPT}"),
                sampling=sampling,
                inbox=inbox,
            )
            for n in range(PLACES)
        ]
        wait_until(lambda: engine.stats.running == PLACES, 60)
        worse = threads.submit(ask, "worse", 1, 8)
        wait_until(lambda: engine.stats.waiting == 1, 30)
        better = threads.submit(ask, "better", -1, 1)
        wait_until(lambda: engine.stats.waiting == 2, 30)
        engine.cancel(running[0])
        better.result(60)
        worse.result(60)
    assert done == ["better", "worse"]


def test_crash(served: Served) -> None:
    """An engine that dies ends its streams with an error, leaves no process, and comes back"""
    dies(served, served.process())


@pytest.mark.usefixtures("adapters")
def test_crash_below(served: Served) -> None:
    """So does one that loses a process of its own"""
    children = served.process().children()
    cores = [child for child in children if "EngineCore" in "".join(child.cmdline())]
    if not cores:
        pytest.skip(f"{served.engine.name} computes in the engine worker itself")
    assert not cores[0].children(), "it computes itself, also on the CPU"
    dies(served, cores[0])


def dies(served: Served, victim: psutil.Process) -> None:
    """Killed in the middle of a stream."""
    server = served.server
    before = served.process()
    family = [before, *before.children(recursive=True)]
    with stream(served) as chunks:
        next(chunks)
        victim.kill()
        *_, last = chunks
    assert isinstance(last, dict)
    assert last["error"]["code"] == "engine_lost"
    wait_until(lambda: not any(is_alive(process) for process in family), 30)
    client = server.sdk(timeout=served.engine.start_s)
    answer = client.completions.create(model=served.model, prompt=PROMPT, max_tokens=2)
    assert answer.choices[0].text
    assert served.process() != before


@contextlib.contextmanager
def stream(served: Served) -> Iterator[Iterator[Any]]:
    """The events of a long stream, over plain HTTP so that it can be left in the middle."""
    body = {"model": served.model, "prompt": PROMPT, "stream": True}
    body |= {"max_tokens": 900, "ignore_eos": True}
    url = f"{served.server.url}/v1/completions"
    with httpx.stream("POST", url, json=body, timeout=60.0) as response:
        assert response.status_code == 200
        yield events(response)
