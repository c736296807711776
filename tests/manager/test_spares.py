"""Spare workers: when there are some, who gets them, and that replicas come first."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

from tests.manager import virtual_time

from tricorn.engines.spec import EngineOptions, ModelSpec
from tricorn.manager.memory.ledger import MAIN, Ledger
from tricorn.manager.replicas.spares import FIRST_S, GUESS, SETTLED_S, Spares

SIZE = GUESS[MAIN]
MEASURED = SIZE // 2


class Waiting:
    """A process that waits for its launch."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.ending_s = 0.1
        self.exited = False
        """Though nobody was told yet."""
        self.end = asyncio.get_running_loop().create_future()

    def has_ended(self) -> bool:
        return self.exited or self.end.done()

    def kill(self) -> None:
        asyncio.get_running_loop().call_later(self.ending_s, self.die)

    def die(self) -> None:
        if not self.end.done():
            self.end.set_result("ended")

    async def wait(self) -> str:
        return str(await asyncio.shield(self.end))

    def hang_up(self) -> None:
        assert self.end.done()


class Bench:
    """Spares, and everything that was started for them."""

    def __init__(self, budget: int = 10 * SIZE, **options: Any) -> None:
        self.processes: list[Waiting] = []
        self.pids = itertools.count(1)
        self.packages = "1"
        self.start_s = 0.0
        self.refusal: OSError | None = None
        self.ledger = Ledger({MAIN: budget})
        self.spares = Spares(
            self._start,
            self.ledger,
            measure=self._measure,
            suits=lambda process, spec: not spec.options.threads,
            mark=lambda engine: self.packages,
            **({"wanted": 1} | options),
        )

    async def _start(self, engine: str) -> Waiting:
        await asyncio.sleep(self.start_s)
        if self.refusal is not None:
            raise self.refusal
        self.processes.append(Waiting(next(self.pids)))
        return self.processes[-1]

    async def _measure(self, pid: int) -> dict[str, int]:
        return {MAIN: MEASURED}

    async def opened(self) -> Bench:
        """With its first spare."""
        self.spares.used("llamacpp")
        await asyncio.sleep(FIRST_S + 0.1)
        return self

    def waiting(self) -> list[int]:
        return [figure["pid"] for figure in self.spares.figures()]

    async def taken(self, **options: Any) -> int | None:
        process = await self.spares.take(model("llamacpp", **options))
        return None if process is None else process.pid


def model(engine: str, **options: Any) -> ModelSpec:
    """No spare suits it where it has a number of threads."""
    return ModelSpec("m", "", "gguf", engine, "", 0, 0, EngineOptions(**options))


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    virtual_time.run(scenario())


def test_one_is_made_after_the_first_load() -> None:
    """Those who waited for the load come first; of engines that have no spares there is none."""

    async def scenario() -> None:
        bench = Bench()
        bench.spares.look()
        bench.spares.used("vllm")
        await asyncio.sleep(FIRST_S + 1)
        assert bench.waiting() == []
        bench.spares.used("llamacpp")
        bench.spares.look()
        await asyncio.sleep(0.1)
        assert bench.waiting() == []
        await asyncio.sleep(FIRST_S)
        assert bench.waiting() == [1]
        assert bench.ledger.lent() == {"spare-1": GUESS}
        await asyncio.sleep(SETTLED_S)
        bench.spares.used("llamacpp")
        bench.spares.look()
        await asyncio.sleep(FIRST_S + 1)
        assert bench.spares.figures() == [
            {"engine": "llamacpp", "pid": 1, "memory_bytes": MEASURED}
        ]

    run(scenario)


def test_a_load_takes_it_and_the_next_one_is_made() -> None:
    """No process is given twice."""

    async def scenario() -> None:
        bench = await Bench().opened()
        await asyncio.sleep(SETTLED_S)
        assert await bench.taken() == 1
        assert bench.ledger.lent() == {}
        assert await bench.taken() is None
        await asyncio.sleep(0.1)
        assert bench.waiting() == [2]
        assert bench.ledger.lent() == {"spare-2": {MAIN: MEASURED}}, "as the last one was measured"
        bench.processes[0].die()  # it is no spare any more
        await asyncio.sleep(100)
        assert bench.waiting() == [2]

    run(scenario)


def test_not_for_a_model_that_it_does_not_suit() -> None:
    """It goes on waiting, for another one."""

    async def scenario() -> None:
        bench = await Bench().opened()
        assert await bench.taken(threads=1) is None
        assert await bench.spares.take(model("vllm")) is None
        assert bench.waiting() == [1]

    run(scenario)


def test_one_that_has_ended_is_not_handed_out() -> None:
    """Also before its end was told."""

    async def scenario() -> None:
        bench = await Bench().opened()
        bench.processes[0].exited = True
        assert await bench.taken() is None
        bench.processes[0].die()
        await asyncio.sleep(0.1)
        assert await bench.taken() == 2

    run(scenario)


def test_packages_that_have_changed() -> None:
    """What was imported of the old ones is not mixed with the new ones."""

    async def scenario() -> None:
        bench = await Bench().opened()
        bench.packages = "2"
        assert await bench.taken() is None
        await asyncio.sleep(0.2)
        assert bench.processes[0].end.done()
        assert await bench.taken() == 2

    run(scenario)


def test_one_that_dies_is_replaced() -> None:
    """Ever later where that goes on; at once again once one has lived."""

    async def scenario() -> None:
        bench = await Bench().opened()
        loop = asyncio.get_running_loop()
        pauses = []
        for number in range(1, 4):
            bench.processes[-1].die()
            died = loop.time()
            while len(bench.processes) == number:
                await asyncio.sleep(0.1)
                bench.spares.look()
            pauses.append(round(loop.time() - died))
            await asyncio.sleep(0)
        assert pauses == [1, 2, 4]
        await asyncio.sleep(SETTLED_S + 0.1)
        bench.processes[-1].die()
        await asyncio.sleep(1.1)
        assert len(bench.processes) == 5

    run(scenario)


def test_one_that_cannot_be_started() -> None:
    """It is tried again later, and holds no memory meanwhile."""

    async def scenario() -> None:
        bench = Bench()
        bench.refusal = OSError("no such file")
        await bench.opened()
        assert bench.ledger.lent() == {}
        bench.refusal = None
        await asyncio.sleep(2)
        assert bench.waiting() == [1]

    run(scenario)


def test_none_where_models_have_all_the_memory() -> None:
    """It is made as soon as something is left."""

    async def scenario() -> None:
        bench = Bench(2 * SIZE)
        bench.ledger.reserve("replica-1", {MAIN: 2 * SIZE - MEASURED})
        await bench.opened()
        assert bench.processes == []
        bench.ledger.settle("replica-1", {MAIN: SIZE})
        bench.spares.look()
        await asyncio.sleep(0.1)
        assert bench.waiting() == [1]

    run(scenario)


def test_it_ends_for_a_load_that_needs_its_memory() -> None:
    """Before that load's process is started."""

    async def scenario() -> None:
        bench = await Bench(2 * SIZE).opened()
        assert bench.ledger.free() == {MAIN: 2 * SIZE}, "loads may have it"
        bench.ledger.reserve("replica-1", {MAIN: 2 * SIZE})
        assert await bench.taken(threads=1) is None
        assert bench.processes[0].end.done()
        assert bench.ledger.lent() == {}
        bench.ledger.settle("replica-1", {})
        bench.spares.look()
        await asyncio.sleep(100)
        assert len(bench.processes) == 1, "no other one is made while there is no room"

    run(scenario)


def test_one_that_does_not_end() -> None:
    """It holds no load up for long, nor the end of everything."""

    async def scenario() -> None:
        bench = await Bench(2 * SIZE).opened()
        bench.processes[0].ending_s = 10_000
        bench.ledger.reserve("replica-1", {MAIN: 2 * SIZE})
        async with asyncio.timeout(60):
            assert await bench.taken(threads=1) is None
            bench.spares.close()
            await bench.spares.ended()
        assert bench.ledger.lent() != {}
        bench.processes[0].die()
        await asyncio.sleep(0.1)

    run(scenario)


def test_it_becomes_the_load_that_needs_its_memory() -> None:
    """Nothing has to end then."""

    async def scenario() -> None:
        bench = await Bench(2 * SIZE).opened()
        bench.ledger.reserve("replica-1", {MAIN: 2 * SIZE})
        assert await bench.taken() == 1
        assert not bench.processes[0].end.done()

    run(scenario)


def test_a_load_waits_for_one_that_is_just_being_started() -> None:
    """It ends as soon as there is something to end."""

    async def scenario() -> None:
        bench = Bench(2 * SIZE)
        bench.start_s = 1.0
        await bench.opened()
        assert bench.ledger.lent() == {"spare-1": GUESS}
        assert bench.waiting() == []
        bench.ledger.reserve("replica-1", {MAIN: 2 * SIZE})
        assert await bench.taken(threads=1) is None
        assert bench.ledger.lent() == {}
        assert all(process.end.done() for process in bench.processes)

    run(scenario)


def test_more_memory_than_was_reserved() -> None:
    """A replica that turns out larger has a spare end, without a load."""

    async def scenario() -> None:
        bench = await Bench(2 * SIZE, wanted=2).opened()
        assert bench.waiting() == [1, 2]
        bench.ledger.reserve("replica-1", {MAIN: 0})
        bench.ledger.settle("replica-1", {MAIN: MEASURED})
        for _ in range(3):
            bench.spares.look()
        await asyncio.sleep(0.2)
        assert bench.waiting() == [1], "one is enough"

    run(scenario)


def test_a_machine_with_one_core() -> None:
    """None is made while a model is loaded, nor while those who waited are served."""

    async def scenario() -> None:
        bench = Bench(beside_loads=False)
        bench.ledger.reserve("replica-1", {MAIN: 1})
        await bench.opened()
        assert bench.waiting() == []
        bench.ledger.settle("replica-1", {})
        bench.spares.used("llamacpp")
        await asyncio.sleep(FIRST_S - 0.1)
        assert bench.waiting() == []
        await asyncio.sleep(0.2)
        assert bench.waiting() == [1]

    run(scenario)


def test_another_number_of_them() -> None:
    """From now on."""

    async def scenario() -> None:
        bench = await Bench(wanted=0).opened()
        assert bench.waiting() == []
        for wanted, pids in ((2, [1, 2]), (1, [1]), (0, [])):
            bench.spares.configure(wanted)
            await asyncio.sleep(0.3)
            assert bench.waiting() == pids
        assert bench.ledger.lent() == {}

    run(scenario)


def test_the_end() -> None:
    """All end, one that is just being started too, and none is made any more."""

    async def scenario() -> None:
        bench = await Bench().opened()
        await bench.taken()
        await asyncio.sleep(0)
        bench.spares.close()
        await bench.spares.ended()
        bench.spares.look()
        await asyncio.sleep(100)
        assert all(process.end.done() for process in bench.processes[1:])
        assert not bench.processes[0].end.done(), "that one is a replica's"
        assert bench.ledger.lent() == {}

    run(scenario)
