"""Engines that advance by steps, over a scripted core."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import pytest

from tricorn.engines.base import EngineStats
from tricorn.engines.request import Constraint, GenerateRequest, SamplingParams, TokenDelta
from tricorn.engines.spec import EngineCapabilities, LoadedModel, ModelSpec
from tricorn.engines.stepped import EngineCore, StepOutput, SteppedEngine, argument
from tricorn.errors import EngineLost, InvalidRequest, ModelLoadFailed

SPEC = ModelSpec("m", "", "fake", "fake", "a test", 0, 0)


class ScriptedCore(EngineCore):
    """Gives each running request one delta a step, for as many steps as its prompt has tokens."""

    def __init__(self) -> None:
        self.left: dict[str, list[int]] = {}
        self.threads: set[str] = set()
        self.aborted: list[str] = []
        self.interrupted: list[str] = []
        self.seen_abort = threading.Event()
        self.closed = False
        self.fails: Exception | None = None
        self.prepared: list[tuple[str, str]] = []
        self.may_prepare = threading.Event()
        self.may_prepare.set()

    def open(self, spec: ModelSpec) -> LoadedModel:
        if spec.fault:
            raise ModelLoadFailed(spec.fault)
        return LoadedModel(100, 10, 4, EngineCapabilities())

    def submit(self, request: GenerateRequest) -> None:
        self.threads.add(threading.current_thread().name)
        if request.prompt_token_ids == [0]:
            raise InvalidRequest("refused", param="prompt")
        self.left[request.request_id] = list(request.prompt_token_ids)

    def prepare(self, request: GenerateRequest) -> Callable[[], None]:
        assert self.may_prepare.wait(20)
        constraint = request.sampling.constraint
        assert constraint is not None
        self.prepared.append((request.request_id, threading.current_thread().name))
        if not constraint.value:
            raise InvalidRequest("no such thing", param=constraint.param)
        return lambda: self.submit(request)

    def abort(self, request_id: str) -> None:
        self.aborted.append(request_id)
        self.left.pop(request_id, None)
        self.seen_abort.set()

    def interrupt(self, request_id: str) -> None:
        self.interrupted.append(request_id)

    def step(self) -> list[StepOutput]:
        if self.fails:
            raise self.fails
        outputs: list[StepOutput] = []
        for name, tokens in list(self.left.items()):
            token = tokens.pop(0)
            outputs.append((name, TokenDelta(0, f"{token} ", [token], None if tokens else "stop")))
            if not tokens:
                del self.left[name]
        return outputs

    def busy(self) -> bool:
        return bool(self.left)

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        return [int(add_special), int(parse_special)]

    def detokenize(self, token_ids: Sequence[int]) -> bytes:
        return bytes(token_ids)

    def stats(self) -> EngineStats:
        return EngineStats(running=len(self.left))

    def close(self) -> None:
        self.closed = True


def request(name: str, tokens: list[int], n: int = 1) -> GenerateRequest:
    return GenerateRequest(name, tokens, SamplingParams(n=n))


def constrained(name: str, tokens: list[int], value: str = "a") -> GenerateRequest:
    constraint = Constraint("regex", value, "p")
    return GenerateRequest(name, tokens, SamplingParams(constraint=constraint))


async def collect(engine: SteppedEngine, what: GenerateRequest) -> str:
    return "".join([delta.text async for delta in engine.generate(what)])


def run(scenario: Coroutine[Any, Any, None]) -> None:
    async def limited() -> None:
        async with asyncio.timeout(20):
            await scenario

    asyncio.run(limited())


def test_each_request_gets_its_own_deltas_in_order() -> None:
    """Several at once, none mixed up, and the streams end after the finish reason."""

    async def scenario() -> None:
        engine = SteppedEngine(ScriptedCore())
        await engine.load(SPEC)
        answers = await asyncio.gather(
            collect(engine, request("a", [1, 2, 3])), collect(engine, request("b", [4, 5]))
        )
        assert answers == ["1 2 3 ", "4 5 "]
        await engine.unload()

    run(scenario())


def test_a_failed_load_is_raised() -> None:
    """What the core's open raised comes out of load."""

    async def scenario() -> None:
        bad = ModelSpec("m", "", "fake", "fake", "a test", 0, 0, fault="no such file")
        with pytest.raises(ModelLoadFailed, match="no such file"):
            await SteppedEngine(ScriptedCore()).load(bad)

    run(scenario())


def test_a_refused_request_fails_alone() -> None:
    """Its error is raised from its stream; the others and the engine go on."""

    async def scenario() -> None:
        core = ScriptedCore()
        engine = SteppedEngine(core)
        await engine.load(SPEC)
        good = asyncio.create_task(collect(engine, request("good", [1] * 50)))
        with pytest.raises(InvalidRequest, match="refused"):
            await collect(engine, request("bad", [0]))
        assert await good == "1 " * 50
        assert await collect(engine, request("next", [7])) == "7 "
        assert core.aborted == []
        await engine.unload()

    run(scenario())


def test_closing_the_stream_aborts() -> None:
    """An iterator that is closed early takes its request out of the engine."""

    async def scenario() -> None:
        core = ScriptedCore()
        engine = SteppedEngine(core)
        await engine.load(SPEC)
        stream = engine.generate(request("long", [1] * 10_000_000))
        await anext(stream)
        await stream.aclose()  # type: ignore[attr-defined]
        assert await asyncio.to_thread(core.seen_abort.wait, 10)
        assert (core.aborted, core.interrupted) == (["long"], ["long"])
        assert engine.stats().running == 0
        await engine.unload()

    run(scenario())


def test_a_stream_that_ended_is_not_aborted() -> None:
    """There is nothing left to take out."""

    async def scenario() -> None:
        core = ScriptedCore()
        engine = SteppedEngine(core)
        await engine.load(SPEC)
        await collect(engine, request("a", [1]))
        await engine.unload()
        assert core.aborted == []

    run(scenario())


def test_a_step_that_raises_ends_every_stream() -> None:
    """All streams get EngineLost, and so does whoever comes later."""

    async def scenario() -> None:
        core = ScriptedCore()
        core.fails = RuntimeError("device on fire")
        engine = SteppedEngine(core)
        await engine.load(SPEC)
        results = await asyncio.gather(
            *(collect(engine, request(name, [1, 2])) for name in "abc"), return_exceptions=True
        )
        assert [type(result) for result in results] == [EngineLost] * 3
        assert "device on fire" in str(results[0])
        with pytest.raises(EngineLost):
            await collect(engine, request("late", [1]))
        await engine.unload()
        assert core.closed

    run(scenario())


def test_the_core_is_touched_by_one_thread_and_closed_at_the_end() -> None:
    """Requests are handed to the engine's own thread; unload ends it."""

    async def scenario() -> None:
        core = ScriptedCore()
        engine = SteppedEngine(core)
        await engine.load(SPEC)
        await asyncio.gather(*(collect(engine, request(name, [1])) for name in "abc"))
        await engine.unload()
        assert core.threads == {"engine"}
        assert core.closed

    run(scenario())


def test_constraints_are_prepared_aside() -> None:
    """In order, on another thread than the engine's; who has none goes past them meanwhile."""

    async def scenario() -> None:
        core = ScriptedCore()
        engine = SteppedEngine(core)
        await engine.load(SPEC)
        core.may_prepare.clear()
        waiting = [asyncio.create_task(collect(engine, constrained(n, [1, 2]))) for n in "abc"]
        assert await collect(engine, request("free", [7])) == "7 "
        assert not any(task.done() for task in waiting)
        core.may_prepare.set()
        assert await asyncio.gather(*waiting) == ["1 2 "] * 3
        assert [name for name, _ in core.prepared] == ["a", "b", "c"]
        assert "engine" not in {thread for _, thread in core.prepared}
        assert threading.current_thread().name not in {thread for _, thread in core.prepared}
        await engine.unload()
        assert core.threads == {"engine"}

    run(scenario())


def test_a_constraint_that_cannot_be_prepared_is_refused() -> None:
    """Its request alone; it never reaches the engine thread."""

    async def scenario() -> None:
        core = ScriptedCore()
        engine = SteppedEngine(core)
        await engine.load(SPEC)
        with pytest.raises(InvalidRequest, match="no such thing"):
            await collect(engine, constrained("bad", [1], ""))
        assert await collect(engine, constrained("good", [1])) == "1 "
        assert core.aborted == []
        await engine.unload()

    run(scenario())


def test_who_leaves_while_a_constraint_is_prepared_is_never_submitted() -> None:
    """Nothing stays behind in the engine."""

    async def scenario() -> None:
        core = ScriptedCore()
        engine = SteppedEngine(core)
        await engine.load(SPEC)
        core.may_prepare.clear()
        gone = asyncio.create_task(collect(engine, constrained("gone", [1] * 10_000_000)))
        stays = asyncio.create_task(collect(engine, constrained("stays", [1])))
        await asyncio.sleep(0)
        gone.cancel()
        core.may_prepare.set()
        assert await stays == "1 "
        assert engine.stats().running == 0
        await engine.unload()

    run(scenario())


def test_an_argument_has_its_type_checked() -> None:
    """A wrong type names the argument; a whole number is a float; none given is the default."""
    assert argument({"x": 1}, "x", float, 0.0) == 1
    assert argument({}, "x", int, 5) == 5
    with pytest.raises(TypeError, match=r"engine_args\.x must be int, got 'one'"):
        argument({"x": "one"}, "x", int, None)


def test_steps_and_what_is_pending() -> None:
    """Each step counts; work is pending while its step hangs, also when its caller has gone."""

    class HangingCore(ScriptedCore):
        def __init__(self) -> None:
            super().__init__()
            self.in_step = threading.Event()
            self.may_step = threading.Event()

        def step(self) -> list[StepOutput]:
            self.in_step.set()
            assert self.may_step.wait(20)
            return super().step()

    async def scenario() -> None:
        core = HangingCore()
        engine = SteppedEngine(core)
        await engine.load(SPEC)
        assert (engine.stats().steps, engine.stats().pending) == (0, 0)
        calls = [asyncio.create_task(collect(engine, request(n, [1, 2, 3]))) for n in "ab"]
        await asyncio.to_thread(core.in_step.wait, 20)
        assert (engine.stats().steps, engine.stats().pending) == (0, 2)
        for call in calls:
            call.cancel()
        await asyncio.wait(calls)
        assert engine.stats().pending == 1
        core.may_step.set()
        assert await collect(engine, request("c", [1, 2, 3])) == "1 2 3 "
        while engine.stats().pending:
            await asyncio.sleep(0.001)
        assert engine.stats().steps >= 3
        await engine.unload()

    run(scenario())


def test_what_is_prepared_is_not_pending() -> None:
    """A constraint may take long to compile, without a step and without a fault."""

    async def scenario() -> None:
        core = ScriptedCore()
        core.may_prepare.clear()
        engine = SteppedEngine(core)
        await engine.load(SPEC)
        call = asyncio.create_task(collect(engine, constrained("a", [1])))
        await asyncio.sleep(0)
        assert engine.stats().pending == 0
        core.may_prepare.set()
        assert await call == "1 "
        await engine.unload()

    run(scenario())
