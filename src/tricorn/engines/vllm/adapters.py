"""Which adapters vLLM has in memory, and who uses them. Knows nothing of vLLM itself.

vLLM reads an adapter that it does not have in memory from its files in the middle of a step, and a
file that is gone by then ends the engine. So none is handed over unread, and none that is in use
is let go of: an adapter is loaded before the first request that uses it, the least recently used
idle one makes room, and where all are in use a request waits for one to become idle.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from tricorn.engines.spec import Adapter

T = TypeVar("T")


@dataclass
class _Loaded:
    number: int
    users: int = 0
    gone: bool = False
    """To be removed once nobody uses it."""


class Adapters:
    """For one event loop.

    places: how many vLLM keeps in memory.
    load: (number, adapter) brings it into memory; ModelLoadFailed leaves nothing behind.
    remove: takes the adapter of that number out of memory.
    """

    def __init__(
        self,
        places: int,
        load: Callable[[int, Adapter], Awaitable[None]],
        remove: Callable[[int], Awaitable[None]],
    ) -> None:
        self._places = places
        self._load = load
        self._remove = remove
        # Never used twice: vLLM's prefix cache tells adapters apart by them, also those that came
        # under the same name from files that have changed.
        self._numbers = itertools.count(1)
        self._loaded: OrderedDict[Adapter, _Loaded] = OrderedDict()
        """The least recently used first."""
        self._changing = asyncio.Lock()
        """Held by who loads, removes or waits for room: the others queue behind, in order."""
        self._idle = asyncio.Event()
        self._tidying: set[asyncio.Task[None]] = set()

    @contextlib.asynccontextmanager
    async def use(self, adapter: Adapter) -> AsyncIterator[int]:
        """Its number; it stays in memory until the end of the block."""
        async with self._changing:
            found = self._loaded.get(adapter)
            if found is None:
                await self._make_room()
                found = await _to_its_end(self._bring_in(adapter))
            found.users += 1
            self._loaded.move_to_end(adapter)
        try:
            yield found.number
        finally:
            found.users -= 1
            if not found.users:
                self._idle.set()
                if found.gone:  # not here: this may be the end of a request that was cancelled
                    task = asyncio.create_task(self._tidy())
                    self._tidying.add(task)
                    task.add_done_callback(self._tidying.discard)

    async def drop(self, adapter: Adapter) -> None:
        """Remove it now, or once nobody uses it."""
        async with self._changing:
            if found := self._loaded.get(adapter):
                found.gone = True
        await self._tidy()

    async def clear(self) -> None:
        """Remove all; none is in use."""
        async with self._changing:
            for adapter in list(self._loaded):
                await _to_its_end(self._take_out(adapter))

    async def _bring_in(self, adapter: Adapter) -> _Loaded:
        number = next(self._numbers)
        await self._load(number, adapter)
        loaded = self._loaded[adapter] = _Loaded(number)
        return loaded

    async def _take_out(self, adapter: Adapter) -> None:
        await self._remove(self._loaded.pop(adapter).number)

    async def _make_room(self) -> None:
        while len(self._loaded) >= self._places:
            idle = next((one for one, loaded in self._loaded.items() if not loaded.users), None)
            if idle is not None:
                await _to_its_end(self._take_out(idle))
            else:
                self._idle.clear()
                await self._idle.wait()

    async def _tidy(self) -> None:
        async with self._changing:
            for adapter, loaded in list(self._loaded.items()):
                if loaded.gone and not loaded.users:
                    await _to_its_end(self._take_out(adapter))


async def _to_its_end(work: Coroutine[Any, Any, T]) -> T:
    """What `work` gives. Where the caller is cancelled, only after `work` has ended: vLLM cannot be
    stopped half-way, and what it then has in memory must be known here."""
    task = asyncio.create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        if not task.cancelled():
            task.exception()  # nobody is left to hear of it
        raise
