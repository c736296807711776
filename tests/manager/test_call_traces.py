"""Tests of `manager.figures.call_traces`: at the turnstile of a real pool, with fake engines."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from opentelemetry.context import Context
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Span, StatusCode
from tests.manager.harness import WAIT_S, Manager, running, settings_for

from tricorn.access.admission import Admission
from tricorn.manager.access.turnstile import Turnstile
from tricorn.manager.access.usage_ledger import UsageLedger
from tricorn.manager.figures.call_traces import CallTraces
from tricorn.manager.protocol.calls import Acquire, Granted, Progress, Refused, Release
from tricorn.manager.replicas.replica import Replica
from tricorn.tracing.export import Traces, headers


class Gateway:
    """One at the turnstile, whose requests are traced."""

    def __init__(self, manager: Manager, traces: Traces, kept: InMemorySpanExporter) -> None:
        self.kept = kept
        self._traces = traces
        self.numbers = itertools.count(1)
        self.answers: dict[int, asyncio.Future[Granted | Refused]] = {}
        ours = CallTraces(traces, manager.pool)
        before = manager.desk.replica_state

        def both(replica: Replica) -> None:
            before(replica)
            ours.replica_state(replica)

        manager.desk.replica_state = both  # type: ignore[method-assign]
        ledger = UsageLedger()
        admission = Admission(time.monotonic, time.time, ledger.spent)
        self.gate = Turnstile(manager.pool, admission, ledger, self._answer, ours)

    def _answer(self, message: Granted | Refused | Progress) -> None:
        if not isinstance(message, Progress):
            self.answers[message.call].set_result(message)

    def ask(self, model: str) -> tuple[int, Span]:
        """Its call, and the gateway's own span."""
        span = self._traces.begin("chat", Context(), {})
        call = next(self.numbers)
        self.answers[call] = asyncio.get_running_loop().create_future()
        self.gate.acquire(Acquire(call, model, f"r-{call}", trace=headers(span)))
        return call, span

    async def answered(self, call: int) -> Any:
        return await asyncio.wait_for(self.answers[call], WAIT_S)

    async def serve(self, model: str) -> Span:
        """From end to end; the gateway's span."""
        call, span = self.ask(model)
        self.gate.release(Release((await self.answered(call)).lease))
        return span

    def spans(self, name: str) -> list[Any]:
        """Those that have ended, of a name, in that order."""
        return [span for span in self.kept.get_finished_spans() if span.name == name]


@asynccontextmanager
async def scene(folder: Path, **settings: Any) -> AsyncIterator[tuple[Manager, Gateway]]:
    async with running(settings_for(folder, **settings)) as manager:
        kept = InMemorySpanExporter()
        yield manager, Gateway(manager, Traces("manager", SimpleSpanProcessor(kept)), kept)


def test_the_load_that_a_request_caused(folder: Path) -> None:
    """Is below its wait, which is below the gateway's span; who comes later has events instead."""

    async def scenario() -> None:
        async with scene(folder, models={"m": {"load_delay_s": 0.1}}) as (manager, gateway):
            call, asked = gateway.ask("m")
            await manager.until(lambda: manager.state("m") == "LOADING")
            second, _ = gateway.ask("m")
            replica = (await gateway.answered(call)).replica
            await gateway.answered(second)
            first, later = gateway.spans("acquire m")
            [load] = gateway.spans("load m")
            assert first.parent.span_id == asked.get_span_context().span_id
            assert first.context.trace_id == asked.get_span_context().trace_id
            assert load.parent.span_id == first.context.span_id
            assert load.attributes == {
                "gen_ai.response.model": "m",
                "tricorn.replica": replica,
                "tricorn.engine": "fake",
                "tricorn.load.kind": "load",
            }
            assert load.end_time > load.start_time
            assert first.attributes["tricorn.request_id"] == "r-1"
            assert first.attributes["tricorn.replica"] == replica
            for wait in (first, later):
                assert wait.attributes["tricorn.wait.load_s"] > 0
                assert [event.name for event in wait.events] == ["load began", "load ended"]

    asyncio.run(scenario())


def test_a_model_that_is_there_is_not_loaded(folder: Path) -> None:
    """Nor is the load of somebody before told again."""

    async def scenario() -> None:
        async with scene(folder, models={"m": {}}) as (_, gateway):
            await gateway.serve("m")
            await gateway.serve("m")
            _, wait = gateway.spans("acquire m")
            assert len(gateway.spans("load m")) == 1
            assert wait.attributes["tricorn.wait.load_s"] == 0
            assert wait.events == ()

    asyncio.run(scenario())


def test_another_model_makes_room(folder: Path) -> None:
    """Which is an event of the wait for it."""

    async def scenario() -> None:
        async with scene(folder, models={"a": {}, "b": {}}) as (_, gateway):
            await gateway.serve("a")
            await gateway.serve("b")
            [wait] = gateway.spans("acquire b")
            names = [event.name for event in wait.events]
            assert sorted(names) == ["evicted", "load began", "load ended"]
            [evicted] = [event for event in wait.events if event.name == "evicted"]
            assert evicted.attributes["gen_ai.response.model"] == "a"

    asyncio.run(scenario())


def test_one_that_was_parked_is_woken(folder: Path) -> None:
    """Which is told apart from a load."""

    async def scenario() -> None:
        models = {"a": {"park": True}, "b": {"park": True}}
        async with scene(folder, models=models) as (_, gateway):
            for name in ("a", "b", "a"):
                await gateway.serve(name)
            kinds = [load.attributes["tricorn.load.kind"] for load in gateway.spans("load a")]
            assert kinds == ["load", "wake"]

    asyncio.run(scenario())


def test_a_load_that_fails(folder: Path) -> None:
    """Both have failed, and say why."""

    async def scenario() -> None:
        async with scene(folder, models={"m": {"load_error": "no such file"}}) as (_, gateway):
            call, _span = gateway.ask("m")
            assert isinstance(await gateway.answered(call), Refused)
            for name in ("acquire m", "load m"):
                [span] = gateway.spans(name)
                assert span.attributes["error.type"] == "model_load_failed"
                assert span.status.status_code is StatusCode.ERROR
                assert "no such file" in span.status.description

    asyncio.run(scenario())


def test_who_gives_up_leaves_the_load_going_on(folder: Path) -> None:
    """Withdrawn, or with its gateway gone: the wait ends then, and the load with the load."""

    async def scenario() -> None:
        async with scene(folder, models={"m": {"load_delay_s": 0.2}}) as (manager, gateway):
            call, _ = gateway.ask("m")
            gateway.ask("m")
            await manager.until(lambda: manager.state("m") == "LOADING")
            gateway.gate.withdraw(call)
            assert len(gateway.spans("acquire m")) == 1
            gateway.gate.drop()
            assert len(gateway.spans("acquire m")) == 2
            assert gateway.spans("load m") == []
            await manager.until(lambda: manager.state("m") == "READY")
            assert len(gateway.spans("load m")) == 1

    asyncio.run(scenario())


def test_what_is_not_traced_has_no_span(folder: Path) -> None:
    async def scenario() -> None:
        async with scene(folder, models={"m": {}}) as (_, gateway):
            call = next(gateway.numbers)
            gateway.answers[call] = asyncio.get_running_loop().create_future()
            gateway.gate.acquire(Acquire(call, "m", "r"))
            await gateway.answered(call)
            assert gateway.kept.get_finished_spans() == ()

    asyncio.run(scenario())
