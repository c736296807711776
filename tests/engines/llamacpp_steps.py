"""llama.cpp's scheduler without llama.cpp: planned steps are only counted."""

from __future__ import annotations

from collections.abc import Sequence as ReadOnlySequence

import numpy as np

from tricorn.engines.llamacpp.kv import KvCache
from tricorn.engines.llamacpp.parked import State
from tricorn.engines.llamacpp.scheduler import Chunk, Scheduler, Sequence
from tricorn.engines.request import GenerateRequest, SamplingParams


class NoMemory:
    """llama.cpp's side, of which the scheduler hears nothing."""

    def copy_prefix(self, source: int, target: int, length: int) -> None:
        pass

    def truncate(self, slot: int, length: int) -> bool:
        return True

    def state_size(self, slot: int) -> int:
        return 1

    def save(self, slot: int) -> State:
        return np.zeros(1, dtype=np.uint8)

    def restore(self, slot: int, state: State) -> bool:
        return True


def scheduler(
    *,
    cells: int = 1000,
    slots: int = 16,
    max_running: int = 8,
    max_tokens: int = 100,
    max_scored: int = 50,
    prefill_budget: int = 10,
) -> Scheduler:
    kv = KvCache(cells, slots, NoMemory(), parked_bytes=100, shares_prefixes=True)
    return Scheduler(
        kv,
        max_running=max_running,
        max_tokens=max_tokens,
        max_scored=max_scored,
        prefill_budget=prefill_budget,
    )


def sequence(
    name: str, prompt: ReadOnlySequence[int], index: int = 0, priority: int = 0
) -> Sequence:
    request = GenerateRequest(name, list(prompt), SamplingParams(), priority=priority)
    return Sequence(request, index, list(prompt))


def add(to: Scheduler, name: str, prompt: ReadOnlySequence[int], *, priority: int = 0) -> Sequence:
    new = sequence(name, prompt, priority=priority)
    to.add(new)
    return new


def step(of: Scheduler) -> list[Chunk]:
    """Plan and do a step, as the engine does: compute, then sample a token."""
    chunks = of.plan()
    assert sum(chunk.count for chunk in chunks) <= of.kv.free_cells
    for chunk in chunks:
        assert chunk.start == chunk.sequence.computed
        tokens = chunk.sequence.tokens
        sampled = chunk.samples
        of.kv.computed(chunk.slot, tokens[chunk.start : chunk.start + chunk.count])
        if sampled:
            chunk.sequence.tokens.append(-len(tokens))
            chunk.sequence.generated += 1
    return chunks


def sizes(chunks: list[Chunk]) -> dict[str, int]:
    return {chunk.sequence.request.request_id: chunk.count for chunk in chunks}


def distinct(start: int, length: int) -> range:
    return range(start * 1000 + 1, start * 1000 + 1 + length)
