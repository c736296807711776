"""What a load will take of memory, as the engines' `footprint` modules estimate it."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec


@dataclass(frozen=True)
class Memory:
    """Of the machine, in bytes; None: unknown."""

    available: int | None = None
    """Main memory that is free."""
    device: int | None = None
    """Of the GPUs that compute, all of it: Metal's recommended working set, or what is on board."""


class Estimate(msgspec.Struct, frozen=True, array_like=True):
    """Bytes of the memory of the device that computes; on the CPU and on Apple's chips this is main
    memory."""

    weights: int
    kv_cache: int
    """For the context and all sequences that share it; of recurrent layers, the states."""
    compute: int
    """What a step needs beside them."""
    overhead: int
    """The process itself, its libraries and the vocabulary."""
    context_length: int | None = None
    """Tokens that one sequence will get; None where the files don't tell what it takes."""
    growth: int = 0
    """What it may take later, in main memory, and give up again: caches of ended sequences."""
    host: int = 0
    """Main memory beside it, where the device has its own."""

    @property
    def total(self) -> int:
        """Once it is loaded and has computed."""
        return self.weights + self.kv_cache + self.compute + self.overhead
