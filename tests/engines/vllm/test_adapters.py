"""Which adapters vLLM has in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tricorn.engines.spec import Adapter
from tricorn.engines.vllm.adapters import Adapters
from tricorn.errors import ModelLoadFailed


def adapter(name: str, version: int = 1) -> Adapter:
    return Adapter(name, f"/adapters/{name}", 8, version)


A, B, C = adapter("a"), adapter("b"), adapter("c")


class Memory:
    """What vLLM would have; `gate` holds up a load."""

    def __init__(self, places: int) -> None:
        self.there: dict[int, Adapter] = {}
        self.loads: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.broken: set[str] = set()
        self.adapters = Adapters(places, self.load, self.remove)

    async def load(self, number: int, one: Adapter) -> None:
        self.loads.append(one.name)
        await self.gate.wait()
        if one.name in self.broken:
            raise ModelLoadFailed("broken")
        self.there[number] = one

    async def remove(self, number: int) -> None:
        del self.there[number]

    def names(self) -> list[str]:
        return [one.name for one in self.there.values()]

    async def use(self, one: Adapter) -> int:
        """As a request that is over at once."""
        async with self.adapters.use(one) as number:
            assert self.there[number] == one
            return number


def run(scenario: Callable[[Memory], Awaitable[None]], places: int = 2) -> None:
    async def go() -> None:
        await scenario(Memory(places))

    asyncio.run(asyncio.wait_for(go(), 15))


async def turns() -> None:
    """Let everything that can go on go on."""
    for _ in range(20):
        await asyncio.sleep(0)


def test_it_is_loaded_once() -> None:
    """Many requests at the same time share one load and one number."""

    async def scenario(memory: Memory) -> None:
        numbers = await asyncio.gather(*(memory.use(A) for _ in range(5)))
        assert len(set(numbers)) == 1
        assert memory.loads == ["a"]

    run(scenario)


def test_a_version_is_an_adapter_of_its_own() -> None:
    """Other files under the same name get another number, and so does what comes back."""

    async def scenario(memory: Memory) -> None:
        first, second = await memory.use(A), await memory.use(adapter("a", 2))
        await memory.adapters.drop(A)
        assert len({first, second, await memory.use(A)}) == 3

    run(scenario)


def test_the_least_recently_used_idle_one_makes_room() -> None:
    """What is in use stays, however long ago it was asked for."""

    async def scenario(memory: Memory) -> None:
        async with memory.adapters.use(A):
            await memory.use(B)
            await memory.use(C)
            assert memory.names() == ["a", "c"]
        await memory.use(C)
        await memory.use(B)
        assert memory.names() == ["c", "b"]

    run(scenario)


def test_where_all_are_in_use_it_waits() -> None:
    """Until one is idle; nothing that is in use is removed."""

    async def scenario(memory: Memory) -> None:
        async with memory.adapters.use(A):
            waiting = asyncio.create_task(memory.use(B))
            await turns()
            assert not waiting.done()
            assert memory.names() == ["a"]
        await waiting
        assert memory.names() == ["b"]

    run(scenario, places=1)


def test_dropped_when_nobody_uses_it() -> None:
    """At once where it is idle, at the end of the last request where it is not."""

    async def scenario(memory: Memory) -> None:
        await memory.use(A)
        await memory.adapters.drop(A)
        assert memory.names() == []
        async with memory.adapters.use(B):
            async with memory.adapters.use(B):
                await memory.adapters.drop(B)
            await turns()
            assert memory.names() == ["b"]
        await turns()
        assert memory.names() == []

    run(scenario)


def test_an_unknown_one_is_dropped_without_harm() -> None:
    """It may never have been used."""

    async def scenario(memory: Memory) -> None:
        await memory.adapters.drop(A)

    run(scenario)


def test_all_are_removed() -> None:
    """For an engine whose memory is about to be taken away; they come back when they are used."""

    async def scenario(memory: Memory) -> None:
        await memory.use(A)
        await memory.use(B)
        await memory.adapters.clear()
        assert memory.names() == []
        await memory.use(A)
        assert memory.loads == ["a", "b", "a"]

    run(scenario)


def test_a_broken_one_takes_no_place() -> None:
    """It fails its own requests, each anew, and once mended it is loaded."""

    async def scenario(memory: Memory) -> None:
        memory.broken = {"a"}
        for _ in range(3):
            with pytest.raises(ModelLoadFailed, match="broken"):
                await memory.use(A)
        await memory.use(B)
        memory.broken.clear()
        await memory.use(A)
        assert memory.names() == ["b", "a"]

    run(scenario)


def test_a_load_is_not_lost_with_its_request() -> None:
    """A client that hangs up during the load leaves an adapter that is idle, and counted."""

    async def scenario(memory: Memory) -> None:
        memory.gate.clear()
        request = asyncio.create_task(memory.use(A))
        await turns()
        request.cancel()
        await turns()
        assert not request.done()
        memory.gate.set()
        with pytest.raises(asyncio.CancelledError):
            await request
        assert memory.names() == ["a"]
        await memory.use(B)
        assert memory.names() == ["b"]

    run(scenario, places=1)


def test_who_hangs_up_while_waiting_for_room_is_forgotten() -> None:
    """The next one in line gets the place."""

    async def scenario(memory: Memory) -> None:
        async with memory.adapters.use(A):
            gone, next_one = (asyncio.create_task(memory.use(one)) for one in (B, C))
            await turns()
            gone.cancel()
            await turns()
            assert gone.cancelled()
            assert not next_one.done()
        await next_one
        assert memory.loads == ["a", "c"]

    run(scenario, places=1)
