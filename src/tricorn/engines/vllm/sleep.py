"""Parking by vLLM's sleep mode, and coming back from it.

    level 1   the weights go to main memory and come back from there
    level 2   they are thrown away and read from their files again

The KV cache is thrown away by both, and the prefixes that it held with it. Imports nothing of vllm.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol


class SleepingEngine(Protocol):
    """What is used here of vLLM's AsyncLLM."""

    async def sleep(self, level: int = 1) -> None: ...

    async def wake_up(self, tags: list[str] | None = None) -> Any: ...

    async def collective_rpc(self, method: str) -> Sequence[Any]: ...


def can_park(config: Any, level: int, *, weight_bytes: int, memory_available: int | None) -> bool:
    """Whether a model that runs with this VllmConfig can be parked at that level.

    weight_bytes: of its files. memory_available: bytes of main memory; None where unknown.
    """
    if not config.model_config.enable_sleep_mode:
        return False
    if level == 1:
        # In place of an operating system that ends processes for want of memory.
        return memory_available is None or weight_bytes < memory_available
    # Only the model itself is read again, not one that drafts for it.
    return config.speculative_config is None


async def park(llm: SleepingEngine, level: int) -> None:
    await llm.sleep(level=level)


async def wake(llm: SleepingEngine, level: int) -> None:
    if level == 2:
        # The KV cache last: reading weights needs memory of its own.
        await llm.wake_up(tags=["weights"])
        await llm.collective_rpc("reload_weights")
    await llm.wake_up()
