"""vLLM's figures, added up."""

from __future__ import annotations

import contextlib
from types import SimpleNamespace
from typing import Any

from tricorn.engines.base import EngineStats
from tricorn.engines.vllm.stats import Stats


def scheduler(running: int, waiting: int, kv: float, queries: int, hits: int) -> Any:
    return SimpleNamespace(
        num_running_reqs=running,
        num_waiting_reqs=waiting,
        kv_cache_usage=kv,
        prefix_cache_stats=SimpleNamespace(queries=queries, hits=hits),
    )


def iteration(generated: int, preempted: int) -> Any:
    return SimpleNamespace(num_generation_tokens=generated, num_preempted_reqs=preempted)


def test_levels_are_the_last_and_counts_add_up() -> None:
    """Running, waiting and KV use are as they are now; the rest is since load."""
    stats = Stats()
    core = stats.add_core()
    stats.prompt_tokens = 30
    core.record(scheduler(2, 1, 0.5, 20, 16), iteration(2, 1))
    core.record(scheduler(1, 0, 0.25, 10, 0), iteration(3, 0))
    assert stats.now() == EngineStats(
        running=1,
        waiting=0,
        kv_used=0.25,
        prefix_queries=30,
        prefix_hits=16,
        prompt_tokens=30,
        generated_tokens=5,
        preemptions=1,
        steps=2,
    )


def test_a_step_may_have_one_half_only() -> None:
    """vLLM gives None for the other."""
    stats = Stats()
    core = stats.add_core()
    core.record(scheduler(1, 0, 0.5, 0, 0), None)
    core.record(None, iteration(4, 0))
    assert (stats.now().running, stats.now().generated_tokens) == (1, 4)


def test_several_cores() -> None:
    """With data parallelism, sequences add up and KV use is their mean."""
    stats = Stats()
    for kv in (0.5, 1.0):
        stats.add_core().record(scheduler(1, 2, kv, 0, 0), None)
    assert (stats.now().running, stats.now().waiting, stats.now().kv_used) == (2, 4, 0.75)


def test_before_the_first_step() -> None:
    """Nothing has happened yet."""
    assert Stats().now() == EngineStats()


def test_requests_that_it_has() -> None:
    """Counted while it works on them, however that ends; their prompts' tokens stay."""
    stats = Stats()
    with stats.request(3):
        with contextlib.suppress(ValueError), stats.request(4):
            assert stats.now().pending == 2
            raise ValueError
        assert stats.now().pending == 1
    assert (stats.now().pending, stats.now().prompt_tokens) == (0, 7)
