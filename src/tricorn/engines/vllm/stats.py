"""vLLM's figures, added up. Pure.

vLLM has a stat logger for each engine core (several with data parallelism) and calls its `record`
after each of that core's steps.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from tricorn.engines.base import EngineStats


class StatCounter:
    """Of one engine core."""

    def __init__(self) -> None:
        self.running = 0
        self.waiting = 0
        self.kv_used = 0.0
        self.prefix_queries = 0
        self.prefix_hits = 0
        self.generated_tokens = 0
        self.preemptions = 0
        self.steps = 0

    def record(self, scheduler_stats: Any, iteration_stats: Any) -> None:
        """vLLM's `SchedulerStats` and `IterationStats`; None where a step has none."""
        self.steps += 1
        if scheduler_stats is not None:
            self.running = scheduler_stats.num_running_reqs
            self.waiting = scheduler_stats.num_waiting_reqs
            self.kv_used = scheduler_stats.kv_cache_usage
            self.prefix_queries += scheduler_stats.prefix_cache_stats.queries
            self.prefix_hits += scheduler_stats.prefix_cache_stats.hits
        if iteration_stats is not None:
            self.generated_tokens += iteration_stats.num_generation_tokens
            self.preemptions += iteration_stats.num_preempted_reqs


class Stats:
    """Of a whole engine."""

    def __init__(self) -> None:
        self._cores: list[StatCounter] = []
        self.prompt_tokens = 0
        """Counted once a request, however many sequences it has."""
        self.pending = 0
        """Requests that vLLM has."""

    @contextlib.contextmanager
    def request(self, prompt_tokens: int) -> Iterator[None]:
        """While vLLM has it."""
        self.prompt_tokens += prompt_tokens
        self.pending += 1
        try:
            yield
        finally:
            self.pending -= 1

    def add_core(self) -> StatCounter:
        core = StatCounter()
        self._cores.append(core)
        return core

    def now(self) -> EngineStats:
        cores = self._cores
        return EngineStats(
            running=sum(core.running for core in cores),
            waiting=sum(core.waiting for core in cores),
            kv_used=sum(core.kv_used for core in cores) / max(1, len(cores)),
            prefix_queries=sum(core.prefix_queries for core in cores),
            prefix_hits=sum(core.prefix_hits for core in cores),
            prompt_tokens=self.prompt_tokens,
            generated_tokens=sum(core.generated_tokens for core in cores),
            preemptions=sum(core.preemptions for core in cores),
            steps=sum(core.steps for core in cores),
            pending=self.pending,
        )
