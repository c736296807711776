"""Parking by vLLM's sleep mode, told to an AsyncLLM that only takes notes."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from tricorn.engines.vllm import sleep
from tricorn.engines.vllm.engine import VllmEngine


class Notes:
    """In place of an AsyncLLM: what it was told, in order."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []

    async def sleep(self, level: int = 1) -> None:
        self.told.append(("sleep", level))

    async def wake_up(self, tags: list[str] | None = None) -> bool:
        self.told.append(("wake_up", tags))
        return tags is None

    async def collective_rpc(self, method: str) -> list[None]:
        self.told.append((method,))
        return [None]


def told(level: int) -> list[tuple[Any, ...]]:
    async def scenario() -> list[tuple[Any, ...]]:
        llm = Notes()
        await sleep.park(llm, level)
        await sleep.wake(llm, level)
        return llm.told

    return asyncio.run(scenario())


def test_level_1_brings_everything_back_at_once() -> None:
    """The weights are in main memory."""
    assert told(1) == [("sleep", 1), ("wake_up", None)]


def test_level_2_reads_the_weights_before_the_kv_cache_comes_back() -> None:
    """Into the memory that the first call has taken for them; the last one lets it go on."""
    assert told(2) == [
        ("sleep", 2),
        ("wake_up", ["weights"]),
        ("reload_weights",),
        ("wake_up", None),
    ]


@pytest.mark.parametrize(
    ("enabled", "level", "drafts", "available", "expected"),
    [
        (True, 1, False, 100, True),
        (True, 1, False, None, True),
        (True, 1, False, 50, False),
        (True, 1, True, 100, True),
        (True, 2, False, 50, True),
        (True, 2, True, 100, False),
        (False, 1, False, 100, False),
        (False, 2, False, 100, False),
    ],
)
def test_what_can_be_parked(
    enabled: bool, level: int, drafts: bool, available: int | None, expected: bool
) -> None:
    """With sleep mode on; level 1 needs main memory, level 2 a model that is read whole."""
    config = SimpleNamespace(
        model_config=SimpleNamespace(enable_sleep_mode=enabled),
        speculative_config=object() if drafts else None,
    )
    found = sleep.can_park(config, level, weight_bytes=60, memory_available=available)
    assert found is expected


def test_the_engine_hands_both_on() -> None:
    """To its runtime, which knows the level; adapters are let go of before."""
    asked: list[str] = []

    class Adapters:
        async def clear(self) -> None:
            asked.append("clear")

    class Runtime:
        async def park(self) -> None:
            asked.append("park")

        async def wake(self) -> None:
            asked.append("wake")

    async def scenario() -> None:
        engine = VllmEngine()
        engine._runtime = Runtime()  # type: ignore[assignment]
        engine._adapters = Adapters()  # type: ignore[assignment]
        await engine.park()
        await engine.wake()

    asyncio.run(scenario())
    assert asked == ["clear", "park", "wake"]
