"""How much fits: limits for MLX and bytes for caches, from the machine. Pure.

On a Mac the GPU and everything else share one memory, and running out of it can stop the whole
machine. So the room for caches is decided at load, and who does not fit waits.
"""

from __future__ import annotations

from dataclasses import dataclass

from tricorn.engines.mlx.options import MlxOptions
from tricorn.errors import ModelLoadFailed
from tricorn.hardware.facts import Facts

MIB = 1 << 20
GIB = 1 << 30

CACHE_STEP = 256
"""Tokens by which mlx-lm's caches grow."""

TRANSIENT = 2
"""While a batch gains or loses a sequence its cache exists twice."""


MOST_PREFIXES = 8 * GIB
"""Bytes for the caches of ended sequences, unasked."""


@dataclass(frozen=True)
class Layer:
    """One layer's cache of one sequence."""

    bytes_per_token: int
    window: int | None = None
    """Tokens it holds at most; None: all."""


@dataclass(frozen=True)
class CacheCost:
    """What one sequence's cache takes."""

    layers: tuple[Layer, ...]
    fixed_bytes: int = 0
    """State whose size does not depend on the number of tokens."""

    def bytes_for(self, tokens: int) -> int:
        """Rounded up as mlx-lm allocates."""
        stepped = -(-tokens // CACHE_STEP) * CACHE_STEP
        return self.fixed_bytes + sum(
            layer.bytes_per_token * min(stepped, layer.window or stepped) for layer in self.layers
        )

    def tokens_in(self, room: int) -> int:
        """The longest sequence, in tokens, whose cache takes no more than `room` bytes."""
        low, high = 0, 1 << 24
        while low < high:
            middle = (low + high + 1) // 2
            if self.bytes_for(middle) <= room:
                low = middle
            else:
                high = middle - 1
        return low


@dataclass(frozen=True)
class MemoryPlan:
    """All in bytes."""

    limit: int
    """MLX as a whole: `mx.set_memory_limit`."""
    wired: int | None
    """`mx.set_wired_limit`; None where nothing can be wired."""
    buffers: int
    """Freed buffers kept for reuse: `mx.set_cache_limit`."""
    prefixes: int
    """Caches of ended sequences."""
    running: int
    """Caches of running sequences."""


def available(machine: Facts, promised: int | None = None) -> int | None:
    """Free bytes of main memory for this process; None where unknown.

    promised: what it may count on at most, by `EngineOptions`.
    """
    sizes = (machine.memory_available, machine.memory_limit, promised)
    return min((size for size in sizes if size is not None), default=None)


def plan(
    options: MlxOptions,
    *,
    weights: int,
    recommended: int | None,
    available: int | None,
    name: str,
) -> MemoryPlan:
    """Divide the memory. ModelLoadFailed where the weights leave no room to work.

    weights: their bytes.
    recommended: what Metal recommends as working set, in bytes; None without Metal.
    available: free bytes of main memory before the weights were loaded; None where unknown.
    """
    if options.memory_limit is not None:
        limit = options.memory_limit * MIB
    else:
        # The system's recommendation leaves it its share; of plain memory a quarter stays free.
        limits = [recommended] if recommended else []
        limits += [available * 3 // 4] if available else []
        limit = min(limits, default=8 * GIB)
    room = limit - weights
    if room < limit // 20:
        raise ModelLoadFailed(
            f"{name} takes {_size(weights)} of the {_size(limit)} that mlx may use here, "
            "which leaves no room for a context: use a smaller or more strongly quantised "
            "model, free memory, or raise engine_args.memory_limit"
        )
    wired = options.wired_limit * MIB if options.wired_limit is not None else recommended
    return MemoryPlan(
        limit=limit,
        wired=None if recommended is None or wired is None else min(wired, recommended),
        buffers=(
            room // 8 if options.cache_limit is None else min(options.cache_limit * MIB, room)
        ),
        prefixes=(
            min(room // 4, MOST_PREFIXES)
            if options.prompt_cache is None
            else min(options.prompt_cache * MIB, room)
        ),
        running=room // 2 // TRANSIENT,
    )


def context_length(
    wanted: int | None, *, trained: int | None, room: int, cost: CacheCost, name: str
) -> int:
    """Tokens that one sequence may hold. ModelLoadFailed where what is wanted does not fit.

    room: bytes for the caches of running sequences.
    """
    fits = cost.tokens_in(room)
    if wanted is None:
        wanted = min(trained or DEFAULT_CONTEXT, max(fits, CACHE_STEP))
    if wanted > fits:
        raise ModelLoadFailed(
            f"{name}: a context of {wanted} tokens needs {_size(cost.bytes_for(wanted))}, but "
            f"there is room for {fits} tokens: set context_length to {fits} or less, or raise "
            "engine_args.memory_limit"
        )
    return wanted


DEFAULT_CONTEXT = 4096
"""Of models that do not say what they were trained for."""


def _size(count: int) -> str:
    return f"{count / GIB:.1f} GiB" if count >= GIB else f"{count / MIB:.0f} MiB"
