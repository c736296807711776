"""What a model will take of memory, before it is loaded, on the engine chosen for it. Pure.

Each engine's `footprint` knows its own arithmetic; the ledger and the catalog only see this module.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from tricorn.engines import fake_footprint as fake
from tricorn.engines.llamacpp import footprint as llamacpp
from tricorn.engines.mlx import footprint as mlx
from tricorn.engines.spec import EngineOptions
from tricorn.engines.vllm import footprint as vllm
from tricorn.errors import ModelLoadFailed
from tricorn.hardware.facts import Facts
from tricorn.hardware.fit import cuda_memory
from tricorn.model_facts.estimate import Estimate, Memory
from tricorn.model_facts.facts import FileFacts

UNKNOWN = Memory()
CONTEXT_STEP = 256
"""Tokens: contexts are multiples of this, since caches are."""


class Footprint(Protocol):
    def __call__(
        self, facts: FileFacts, options: EngineOptions, *, device: str, memory: Memory
    ) -> Estimate | None: ...


FOOTPRINTS: dict[str, Footprint] = {
    "llamacpp": llamacpp.estimate,
    "mlx": mlx.estimate,
    "vllm": vllm.estimate,
    "fake": fake.estimate,
}


def memory_of(machine: Facts, engine: str, device: str) -> Memory:
    """What an engine finds on this machine."""
    sizes = {"cuda": cuda_memory(machine, engine), "metal": machine.apple_working_set}
    free = [size for size in (machine.memory_available, machine.memory_limit) if size is not None]
    return Memory(min(free, default=None), sizes.get(device))


def estimate(
    facts: FileFacts,
    options: EngineOptions,
    engine: str,
    device: str,
    memory: Memory = UNKNOWN,
) -> Estimate | None:
    """None where the files or the options do not tell enough, or make no sense to the engine."""
    footprint = FOOTPRINTS.get(engine)
    if footprint is None:
        return None
    try:
        return footprint(facts, options, device=device, memory=memory)
    except ModelLoadFailed:
        return None  # the load will say what is wrong with the options


def longest(most: int, fits: Callable[[int], bool]) -> int | None:
    """The longest context that fits, of those up to `most` tokens; None where none does."""
    low, high = 0, most // CONTEXT_STEP
    while low < high:
        middle = (low + high + 1) // 2
        if fits(middle * CONTEXT_STEP):
            low = middle
        else:
            high = middle - 1
    return low * CONTEXT_STEP or None
