"""Two real models, and memory for one of them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import openai
import pytest
import yaml
from tests.conformance.engines import ENGINES, quantised_anew
from tests.e2e.server import END_S, MODEL, Server, is_alive, running, user
from tests.polling import wait_until

pytestmark = pytest.mark.timeout(180)

SECOND = "second"
CONTEXT = 2048


def config() -> str:
    path = quantised_anew(ENGINES["llamacpp"].python, "MOSTLY_Q8_0", "Q8_0")
    return yaml.safe_dump(
        {"context_length": CONTEXT, "models": {SECOND: {"path": str(path), "aliases": ["gpt-4"]}}}
    )


def status(server: Server, model: str) -> dict[str, Any]:
    found: dict[str, Any] = httpx.get(f"{server.url}/v1/models/{model}/status").json()
    return found


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """With memory for either model, and not for both."""
    with running(config=config()) as probe:
        sizes = [status(probe, model)["memory_expected"]["main"] for model in (MODEL, SECOND)]
    budget = max(sizes) + min(sizes) // 2
    with running(config=config(), max_cpu_memory=budget) as found:
        yield found


def ask(server: Server, model: str, **options: Any) -> Any:
    return server.client.chat.completions.create(
        model=model, messages=user("Hello!"), **({"max_tokens": 4} | options)
    )


def test_one_makes_room_for_the_other(server: Server) -> None:
    """Its process is gone before the other one loads, and nothing is asked for a count."""
    assert ask(server, MODEL).model == MODEL
    before = server.engine()
    assert ask(server, SECOND).model == SECOND
    wait_until(lambda: not is_alive(before), END_S)
    assert status(server, MODEL)["state"] == "UNLOADED"
    held = status(server, SECOND)["memory_held"]["main"]
    assert held > 100 * 2**20


def test_a_stream_is_not_cut_by_a_swap(server: Server) -> None:
    """What runs is finished, whoever waits for the memory."""
    stream = ask(server, SECOND, max_tokens=200, stream=True, temperature=0,
                 extra_body={"ignore_eos": True})  # fmt: skip
    first = next(iter(stream))
    with ThreadPoolExecutor(1) as threads:
        other = threads.submit(ask, server, MODEL)
        chunks = [first, *stream]
        assert chunks[-1].choices[0].finish_reason == "length"
        assert other.result().model == MODEL


def test_by_its_alias(server: Server) -> None:
    assert ask(server, "gpt-4").choices[0].message.content is not None
    assert status(server, "gpt-4")["id"] == SECOND


def test_alternating_requests_lose_nothing(server: Server) -> None:
    with ThreadPoolExecutor(4) as threads:
        names = [(MODEL, SECOND)[number % 2] for number in range(12)]
        answers = list(threads.map(lambda name: ask(server, name).model, names))
    assert answers == names
    assert len(server.engines()) <= 2  # one may be on its way out


def test_a_spare_worker_becomes_the_next_model(server: Server) -> None:
    """It waits in what one model leaves of the memory, and the other one is loaded into it."""
    sizes = [status(server, model)["memory_expected"]["main"] for model in (MODEL, SECOND)]
    budget = max(sizes) + min(sizes) // 2
    with running(config=config(), max_cpu_memory=budget, spare_workers=1) as spared:
        assert ask(spared, MODEL).model == MODEL
        wait_until(lambda: measured(spared), END_S)
        (spare,) = spares(spared)
        assert 20 * 2**20 < spare["memory_bytes"] < 64 * 2**20
        assert ask(spared, SECOND).model == SECOND
        (replica,) = status(spared, SECOND)["replicas"]
        assert replica["pid"] == spare["pid"]
        wait_until(lambda: measured(spared), END_S)
        assert spares(spared)[0]["pid"] != spare["pid"]


def spares(server: Server) -> list[dict[str, Any]]:
    details = httpx.get(f"{server.url}/v1/system/status").json()["details"]
    found: list[dict[str, Any]] = details["spare_workers"]
    return found


def measured(server: Server) -> bool:
    """The spare worker has what it imports; 64 MiB were put down for it."""
    return any(one["memory_bytes"] != 64 * 2**20 for one in spares(server))


def test_what_never_fits() -> None:
    """507, with what would help."""
    with running(config=config(), max_cpu_memory=60 * 2**20, ready=False) as server:
        wait_until(lambda: answers(server), END_S)
        with pytest.raises(openai.InternalServerError) as caught:
            ask(server, MODEL)
        assert caught.value.status_code == 507
        assert caught.value.code == "insufficient_memory"
        assert "60" in caught.value.message


def answers(server: Server) -> bool:
    try:
        return httpx.get(f"{server.url}/health").status_code == 200
    except httpx.TransportError:
        return False
