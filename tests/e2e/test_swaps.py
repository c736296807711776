"""Hundreds of swaps under traffic: nothing is lost, and nothing grows. With a fake engine."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
import yaml
from tests.e2e.server import Server, running, user

pytestmark = pytest.mark.timeout(300)
LEAVES_ROOM = True

MODELS = ("a", "b", "c")
SWAPS = 200
WARM = 40
CLIENTS = 6
GROWTH = 12 * 2**20
"""Bytes; of caches and of an allocator's pools. A leak of one kilobyte a request would be more."""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    models = {name: {"engine": "fake"} for name in MODELS}
    config = yaml.safe_dump({"max_swap_wait_s": 0.05, "models": models})
    options = {"mode": "prod", "workers": 1, "max_concurrent_models": 1}
    with running(config=config, default_model="a", **options) as found:
        yield found


def swaps(server: Server) -> int:
    """How many replicas were ready so far."""
    return server.output().count("state=READY") + server.output().count('"state": "READY"')


def sizes(server: Server) -> dict[str, int]:
    """Of main memory, by kind of process."""
    named = {"manager": server.process, "gateway": server.gateway()}
    return {name: psutil.Process(one.pid).memory_info().rss for name, one in named.items()}


def test_soak(server: Server) -> None:
    """Every request is answered by the model that it names."""

    def ask(number: int) -> None:
        name = MODELS[number % len(MODELS)]
        answer = server.client.chat.completions.create(
            model=name, messages=user(f"{name} {number}"), max_tokens=5
        )
        assert answer.model == name
        assert answer.choices[0].finish_reason

    def until(wanted: int) -> None:
        with ThreadPoolExecutor(CLIENTS) as threads:
            while swaps(server) < wanted:
                list(threads.map(ask, range(CLIENTS * len(MODELS))))

    until(WARM)
    before = sizes(server)
    until(SWAPS)
    grown = {name: size - before[name] for name, size in sizes(server).items()}
    assert all(size < GROWTH for size in grown.values()), grown
    assert len(server.engines()) <= 2  # one may be on its way out
