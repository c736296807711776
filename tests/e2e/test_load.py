"""Five hundred clients that read slowly and a hundred that leave, all at once: everybody who stays
gets what is theirs, and nothing of them stays behind. With a fake engine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import psutil
import pytest
import yaml
from tests.e2e.crowd import Answer, Crowd
from tests.e2e.server import END_S, Server, running, user
from tests.polling import wait_until

pytestmark = pytest.mark.timeout(240)

STAYING = 500
LEAVING = 100
RESTING = 40
LARGE = 4
"""Of those that rest: their answers, of 4 MB, do not fit into the system's buffers."""
WARM = 2
"""Crowds before anything is measured."""
MEASURED = 4
"""Crowds of which one has to leave memory as it was: how many of a crowd come to which process is
chance, and a process grows, once, when more come to it than ever before. A leak is in each."""
GROWTH = 8 * 2**20
"""Bytes, of all processes together. A leak of twenty kilobytes a client would be more."""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Two gateway processes, and one engine whose leases are fewer than the clients."""
    models = {"a": {"engine": "fake", "max_num_seqs": 64, "context_length": 16_384}}
    with running(
        config=yaml.safe_dump({"models": models}),
        default_model="a",
        mode="prod",
        workers=2,
        max_waiting=STAYING + LEAVING,
    ) as found:
        yield found


def chat(model: str, text: str, **options: Any) -> dict[str, Any]:
    return {"model": model, "messages": user(text), "stream": True} | options


def said(number: int) -> str:
    """What client `number` says, and is answered."""
    if number < LARGE:
        return f"client {number} " + " ".join(map(str, range(900)))
    return f"client {number} " + " ".join(str(number + n) for n in range(16))


def asked(number: int) -> dict[str, Any]:
    large = {"logprobs": True, "top_logprobs": 20} if number < LARGE else {}
    return chat("a", said(number), **large)


def wave(server: Server, seed: int) -> None:
    """All of them; each answer is whole, in order, and that client's own."""
    crowd = Crowd(server.port, seed, resting_until=STAYING - RESTING)
    answers = crowd.come([asked(n) for n in range(STAYING)], leaving=LEAVING, resting=RESTING)
    assert {answer.status for answer in answers} == {200}
    for number, answer in enumerate(answers):
        assert answer.text() == said(number)


def status(server: Server, model: str = "a") -> dict[str, Any]:
    found: dict[str, Any] = httpx.get(f"{server.url}/v1/models/{model}/status").json()
    return found


def is_quiet(server: Server) -> bool:
    """No lease is out, nobody waits, and the engine has nothing to do, as it says itself."""
    found = status(server)
    stats = [one["stats"] for one in found["replicas"]]
    busy = [one["running"] + one["waiting"] for one in stats if one is not None]
    return found["leases"] == 0 and found["waiting"] == 0 and busy == [0]


def processes(server: Server) -> dict[str, psutil.Process]:
    found = {f"gateway {one.pid}": one for one in server.gateways()}
    return found | {"manager": psutil.Process(server.process.pid), "engine": server.engine()}


def files(server: Server) -> dict[str, int]:
    """Open ones, sockets included, of each process."""
    return {name: one.num_fds() for name, one in processes(server).items()}


def size(server: Server) -> int:
    """Bytes of main memory, of all processes but the engine, in which a real one would be."""
    found = {name: one.memory_info().rss for name, one in processes(server).items()}
    del found["engine"]
    return sum(found.values())


def faults(server: Server) -> list[str]:
    """What a log has that should not be there."""
    lines = server.output().splitlines()
    wrong = [line for line in lines if "Traceback" in line or "Exception" in line]
    for line in lines:
        if not line.startswith("{"):
            continue
        entry = json.loads(line)
        if entry["level"] in ("error", "critical") or entry.get("status", 0) >= 500:
            wrong.append(line)
    return wrong


def test_a_crowd_leaves_nothing_behind(server: Server) -> None:
    """Neither leases nor open files nor memory, however often it comes."""
    for seed in range(WARM):
        wave(server, seed)
        wait_until(lambda: is_quiet(server), END_S)
    open_before = files(server)
    grown: list[int] = []
    for seed in range(WARM, WARM + MEASURED):
        before = size(server)
        wave(server, seed)
        wait_until(lambda: is_quiet(server), END_S)
        grown.append(size(server) - before)
        if grown[-1] < GROWTH:
            break
    else:
        raise AssertionError(f"bytes more after each crowd: {grown}")
    wait_until(lambda: files(server) == open_before, END_S)
    assert faults(server) == []


def refused(answers: list[Answer]) -> list[Answer]:
    """Those that were, each of them with a time to come back."""
    found = [answer for answer in answers if answer.status != 200]
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in found)
    return found


def test_more_than_may_wait() -> None:
    """429 where the model serves, 503 where it is only loading; the others are served."""
    slow = {"engine": "fake", "engine_args": {"load_delay_s": 2.0}}
    ready = {"engine": "fake", "max_num_seqs": 4, "engine_args": {"token_delay_s": 0.002}}
    config = yaml.safe_dump({"models": {"ready": ready, "slow": slow}})
    with running(
        config=config, default_model="ready", mode="prod", workers=2, max_waiting=20
    ) as server:
        for model, expected in (
            ("ready", (429, "too_many_requests")),
            ("slow", (503, "overloaded")),
        ):
            texts = [f"client {number} of {model}" for number in range(100)]
            answers = Crowd(server.port).come([chat(model, text) for text in texts], leaving=20)
            turned_away = refused(answers)
            served = [(answer, text) for answer, text in zip(answers, texts, strict=True)
                      if answer.status == 200]  # fmt: skip
            assert len(served) >= 10
            assert len(turned_away) >= 20
            assert all(answer.text() == text for answer, text in served)
            errors = [json.loads(answer.body)["error"]["code"] for answer in turned_away]
            found = {(one.status, code) for one, code in zip(turned_away, errors, strict=True)}
            assert found == {expected}
            wait_until(lambda model=model: status(server, model)["leases"] == 0, END_S)
        lines = [line for line in server.output().splitlines() if "Traceback" in line]
        assert lines == []
