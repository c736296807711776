"""Spare workers: processes that have their engine imported and wait for a model, so that the next
load need not wait for that.

Each serves one model, once, as any other worker: a load takes it over, and the next one is made. A
model that needs another environment, or is bound to cores, starts a process of its own.

Spares get what replicas leave of the memory, and end where one needs it (see `Ledger.lend`).
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from tricorn import logs
from tricorn.engines.spec import ModelSpec
from tricorn.errors import StartupError
from tricorn.manager.memory.ledger import MAIN, Ledger, Needs
from tricorn.manager.replicas.backoff import AFTER_LOAD_FAILURE
from tricorn.manager.replicas.processes import KILL_WAIT_S

MIB = 1 << 20

ENGINES = frozenset({"llamacpp"})
"""The others' packages take several times as much memory, and their loads much longer."""
GUESS: Needs = {MAIN: 64 * MIB}
"""Of a spare that was not measured yet; llama.cpp's have 45."""
FIRST_S = 2.0
"""After a model is ready: those who have waited for it come first."""
SETTLED_S = 3.0
"""It has imported everything by then, and is measured."""

log = logs.get("spares")


class Process(Protocol):
    """What is needed here of a `WorkerProcess`."""

    pid: int

    def has_ended(self) -> bool: ...

    def kill(self) -> None: ...

    async def wait(self) -> str: ...

    def hang_up(self) -> None: ...


ProcessT = TypeVar("ProcessT", bound=Process)


@dataclass(eq=False)
class _Spare(Generic[ProcessT]):
    name: str
    engine: str
    mark: object
    process: ProcessT
    ending: bool = False
    watch: asyncio.Task[None] = field(init=False)


class Spares(Generic[ProcessT]):
    """On the manager's event loop. Call `look` whenever something may have changed."""

    def __init__(
        self,
        start: Callable[[str], Awaitable[ProcessT]],
        ledger: Ledger,
        *,
        measure: Callable[[int], Awaitable[Needs]],
        suits: Callable[[ProcessT, ModelSpec], bool],
        mark: Callable[[str], object] = lambda engine: None,
        wanted: int = 0,
        engines: frozenset[str] = ENGINES,
        guess: Needs = GUESS,
        first_s: float = FIRST_S,
        beside_loads: bool = True,
        on_measured: Callable[[], None] = lambda: None,
    ) -> None:
        """start: a process for an engine; OSError, StartupError. measure: what a process holds;
        empty where nothing tells. suits: whether a process can be a model's. mark: of an engine,
        another one once its packages have changed. wanted: for each engine. guess: what one takes
        until it was measured. beside_loads: this machine has a core left while a model is loaded.
        """
        self._start = start
        self._ledger = ledger
        self._measure = measure
        self._suits = suits
        self._mark = mark
        self._wanted = wanted
        self._engines = engines
        self._guess = guess
        self._first_s = first_s
        self._beside_loads = beside_loads
        self._on_measured = on_measured
        self._loop = asyncio.get_running_loop()
        self._spares: dict[str, _Spare[ProcessT]] = {}
        self._not_before: dict[str, float] = {}
        """By engine that was used: when the next one may be made."""
        self._failures: Counter[str] = Counter()
        self._needs: dict[str, Needs] = {}
        """By engine, as measured."""
        self._numbers = itertools.count(1)
        self._starting: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closed = False

    def used(self, engine: str) -> None:
        """A model was loaded with it."""
        known = engine in self._not_before
        if engine in self._engines and not (known and self._beside_loads):
            self._wait(engine, self._first_s)

    def configure(self, wanted: int) -> None:
        self._wanted = wanted
        self.look()

    def look(self) -> None:
        """Bring about what should be: at once as far as they are to end, soon where to begin."""
        if self._closed:
            return
        for engine in self._not_before:
            there = self._of(engine)
            for spare in there[self._wanted :]:
                self._end(spare)
            if len(there) + self._starting[engine] < self._wanted and self._may_start(engine):
                self._begin(engine)
        if self._ledger.has_lent_too_much():
            self._end_one()

    async def take(self, spec: ModelSpec) -> ProcessT | None:
        """A process that this model can have, or None. What its load needs has been reserved;
        when this returns, spares leave it room."""
        chosen = self._chosen(spec)
        if chosen is not None:
            del self._spares[chosen.name]
            chosen.watch.cancel()
            self._ledger.take_back(chosen.name)
            log.info("spare worker taken", pid=chosen.process.pid, model=spec.id)
        while self._tasks and self._ledger.has_lent_too_much(starting=True):
            self._end_one()
            if not await self._something_ended():
                break
        self._loop.call_soon(self.look)
        return None if chosen is None else chosen.process

    def figures(self) -> list[dict[str, Any]]:
        """Those that wait, for JSON. From any thread."""
        lent = self._ledger.lent()
        return [
            {
                "engine": spare.engine,
                "pid": spare.process.pid,
                "memory_bytes": lent.get(spare.name, {}).get(MAIN),
            }
            for spare in list(self._spares.values())
            if not spare.ending
        ]

    def close(self) -> None:
        """End all, for good."""
        self._closed = True
        for spare in self._spares.values():
            self._end(spare)

    async def ended(self) -> None:
        """Wait until they are gone; bounded. After `close`."""
        while self._tasks and await self._something_ended():
            pass

    # --- inside ---------------------------------------------------------------------------------

    def _of(self, engine: str) -> list[_Spare[ProcessT]]:
        return [one for one in self._spares.values() if one.engine == engine and not one.ending]

    def _may_start(self, engine: str) -> bool:
        if self._loop.time() < self._not_before[engine]:
            return False
        if self._ledger.is_loading() and not self._beside_loads:
            return False
        return self._ledger.can_lend(self._needs.get(engine, self._guess))

    def _wait(self, engine: str, delay_s: float) -> None:
        self._not_before[engine] = self._loop.time() + delay_s
        self._loop.call_later(delay_s, self.look)

    def _chosen(self, spec: ModelSpec) -> _Spare[ProcessT] | None:
        for spare in self._of(spec.engine):
            if spare.process.has_ended() or spare.mark != self._mark(spec.engine):
                self._end(spare)
            elif self._suits(spare.process, spec):
                return spare
        return None

    def _begin(self, engine: str) -> None:
        name = f"spare-{next(self._numbers)}"
        self._ledger.lend(name, self._needs.get(engine, self._guess))
        self._starting[engine] += 1
        self._do(self._started(name, engine))

    async def _started(self, name: str, engine: str) -> None:
        try:
            mark = self._mark(engine)
            process = await self._start(engine)
        except (OSError, StartupError) as error:
            self._ledger.take_back(name)
            self._failed(engine, f"cannot be started: {error}")
            return
        finally:
            self._starting[engine] -= 1
        log.info("spare worker started", pid=process.pid, engine=engine)
        spare = self._spares[name] = _Spare(name, engine, mark, process)
        spare.watch = self._do(self._watch(spare))
        if self._closed:
            self._end(spare)
        self.look()

    async def _watch(self, spare: _Spare[ProcessT]) -> None:
        """Until it has ended, or is taken."""
        ended = self._loop.create_task(spare.process.wait())
        try:
            await asyncio.wait({ended}, timeout=SETTLED_S)
            if not ended.done():
                self._failures[spare.engine] = 0
                await self._measured(spare)
            how = await ended
        finally:
            ended.cancel()
        spare.process.hang_up()
        self._spares.pop(spare.name, None)
        self._ledger.take_back(spare.name)
        if not spare.ending:
            self._failed(spare.engine, how)
        self.look()

    async def _measured(self, spare: _Spare[ProcessT]) -> None:
        found = await self._measure(spare.process.pid)
        if found and not spare.ending:
            self._needs[spare.engine] = found
            self._ledger.lend(spare.name, found, measured=True)
            self._on_measured()

    def _failed(self, engine: str, why: str) -> None:
        self._failures[engine] += 1
        delay_s = AFTER_LOAD_FAILURE.delay_s(self._failures[engine])
        log.warning("a spare worker was lost", engine=engine, reason=why, next_in_s=delay_s)
        self._wait(engine, delay_s)

    def _end_one(self) -> None:
        """The newest, unless one is ending already: then it is seen first what that gives."""
        if self._spares and not any(spare.ending for spare in self._spares.values()):
            self._end(list(self._spares.values())[-1])

    def _end(self, spare: _Spare[ProcessT]) -> None:
        if not spare.ending:
            spare.ending = True
            spare.process.kill()

    async def _something_ended(self) -> bool:
        """False where what was killed hangs in the kernel."""
        done, _ = await asyncio.wait(
            self._tasks, timeout=KILL_WAIT_S, return_when=asyncio.FIRST_COMPLETED
        )
        return bool(done)

    def _do(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task: asyncio.Task[None] = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
