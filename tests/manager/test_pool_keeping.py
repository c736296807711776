"""How long models stay, and in which order requests are served; with the fake engine."""

from __future__ import annotations

import asyncio
import math
from pathlib import Path
from typing import Any

import pytest
from tests.manager import virtual_time
from tests.manager.harness import Client, running, settings_for
from tests.manager.simulation import Plan, World

from tricorn.engines.spec import Serving
from tricorn.errors import Conflict, ModelNotFound, Overloaded, ServiceError, TooManyRequests
from tricorn.manager.pool import housekeeping


async def use(client: Client, *models: str, **options: Any) -> None:
    for model in models:
        client.give_back(await client.lease(model, **options))


def test_unloaded_after_its_time() -> None:
    """The time runs from the end of the last request, and not while one runs."""

    async def scenario() -> None:
        world = World({"m": Plan(memory=1)}, budget=10, serving=Serving(ttl_s=30.0))
        world.open()
        client = world.client()
        lease = await client.lease("m")
        await asyncio.sleep(100)
        assert world.state("m") == "READY"
        assert world.pool.status("m")["expires_in_s"] is None
        client.give_back(lease)
        await asyncio.sleep(10)
        assert world.pool.status("m")["expires_in_s"] == 20
        await asyncio.sleep(19)
        assert world.state("m") == "READY"
        await asyncio.sleep(2)
        assert world.state("m") == "UNLOADED"
        await use(client, "m")
        await world.pool.stop()

    virtual_time.run(scenario())


@pytest.mark.parametrize(
    ("asked", "ready", "unloaded"),
    [(0.0, None, 1.0), (50.0, 49.0, 51.0), (math.inf, 10_000.0, None), (None, 29.0, 31.0)],
)
def test_a_request_says_how_long(
    asked: float | None, ready: float | None, unloaded: float | None
) -> None:
    """It goes before the settings. ready, unloaded: seconds after which it is still, or no more."""

    async def scenario() -> None:
        world = World({"m": Plan(memory=1)}, budget=10, serving=Serving(ttl_s=30.0))
        world.open()
        await use(world.client(), "m", keep_alive_s=asked)
        now = 0.0
        for when, state in ((ready, "READY"), (unloaded, "UNLOADED")):
            if when is not None:
                await asyncio.sleep(when - now)
                now = when
                assert world.state("m") == state
        await world.pool.stop()

    virtual_time.run(scenario())


def test_pinned_models_stay(folder: Path) -> None:
    """No time to live, no other model and no plain unload ends them."""

    async def scenario() -> None:
        given = settings_for(
            folder, models={"m": {}, "other": {}}, ttl=0.05, max_swap_wait_s=0.0, max_wait_s=3.0
        )
        given.models["m"].pinned = True
        async with running(given) as manager:
            client = manager.client()
            await use(client, "m")
            assert isinstance(await client.refusal("other"), Overloaded)
            with pytest.raises(Conflict):
                manager.pool.unload("m")
            assert manager.state("m") == "READY"
            await manager.pool.unload("m", force=True)
            assert manager.state("m") == "UNLOADED"

    asyncio.run(scenario())


def test_unload_waits_for_what_runs(folder: Path) -> None:
    """And a request that comes meanwhile is served by a new load."""

    async def scenario() -> None:
        async with running(settings_for(folder, models={"m": {}})) as manager:
            client = manager.client()
            lease = await client.lease("m")
            unloaded = manager.pool.unload("m")
            assert manager.state("m") == "DRAINING"
            later = client.ask("m")
            client.give_back(lease)
            await unloaded
            await client.outcome(later)
            assert len(manager.started) == 2
            with pytest.raises(ModelNotFound):
                manager.pool.unload("none")

    asyncio.run(scenario())


def test_unload_by_force(folder: Path) -> None:
    """What runs is cut, and what waits is refused."""

    async def scenario() -> None:
        given = settings_for(folder, models={"m": {}})
        given.models["m"].max_leases = 1
        async with running(given) as manager:
            client = manager.client()
            await client.lease("m")
            waiting = client.ask("m")
            await manager.pool.unload("m", force=True)
            with pytest.raises(ServiceError, match="unloaded"):
                await client.outcome(waiting)
            assert manager.state("m") == "UNLOADED"

    asyncio.run(scenario())


def test_aliases(folder: Path) -> None:
    """A request may use one; the model is told by its id, and an id goes before an alias."""

    async def scenario() -> None:
        given = settings_for(folder, models={"a": {}, "b": {}})
        given.models["a"].aliases = ["gpt-4", "b"]
        async with running(given) as manager:
            client = manager.client()
            await use(client, "gpt-4")
            assert manager.state("a") == "READY"
            assert {info.id: info.aliases for info in manager.pool.models()}["a"][0] == "gpt-4"
            await use(client, "b")
            assert manager.state("b") == "READY"

    asyncio.run(scenario())


def test_keys_take_turns() -> None:
    """One that asks for much does not keep another one waiting behind all of it."""
    turns = order_of_turns([("greedy", 1.0)] * 4 + [("modest", 1.0)])
    assert 4 in turns[:2]
    assert [position for position in turns if position != 4] == [0, 1, 2, 3]


def test_a_key_of_more_weight_has_more_turns() -> None:
    """Two for one."""
    turns = order_of_turns([("light", 1.0)] * 2 + [("heavy", 2.0)] * 4)
    assert turns == [0, 2, 3, 1, 4, 5]


def order_of_turns(asked: list[tuple[str, float]]) -> list[int]:
    """Which of the keys with weights has its turn when, where one request is served at a time."""
    turns: list[int] = []

    async def scenario() -> None:
        world = World({"m": Plan(memory=1)}, budget=10, serving=Serving(max_leases=1))
        world.open()
        client = world.client()
        lease = await client.lease("m")
        calls = [client.ask("m", key=key, weight=weight) for key, weight in asked]
        while len(turns) < len(asked):
            client.give_back(lease)
            await asyncio.sleep(0.1)
            [granted] = [
                position
                for position, call in enumerate(calls)
                if client.answers[call].done() and position not in turns
            ]
            turns.append(granted)
            lease = await client.outcome(calls[granted])
        await world.pool.stop()

    virtual_time.run(scenario())
    return turns


def test_requests_of_all_models_are_bounded(folder: Path) -> None:
    async def scenario() -> None:
        given = settings_for(
            folder, models={"a": {}, "b": {}}, max_concurrent_models=2, max_concurrent_requests=1
        )
        async with running(given) as manager:
            client = manager.client()
            lease = await client.lease("a")
            other = client.ask("b")
            await manager.until(lambda: manager.state("b") == "READY")
            assert not client.answers[other].done()
            client.give_back(lease)
            await client.outcome(other)

    asyncio.run(scenario())


def test_who_waits_is_told_why(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """How far the load is, and how long it will take by the last one."""
    monkeypatch.setattr(housekeeping, "PROGRESS_S", 0.05)

    async def scenario() -> None:
        given = settings_for(folder, models={"m": {"load_delay_s": 0.3}})
        async with running(given) as manager:
            client = manager.client()
            await use(client, "m")
            assert client.progress
            assert "loading" in client.progress[-1].text
            client.progress.clear()
            await manager.pool.unload("m")
            await use(client, "m")
            assert all(one.eta_s is not None for one in client.progress)

    asyncio.run(scenario())


def test_a_full_queue_of_a_busy_model(folder: Path) -> None:
    """429 where it serves already, 503 while it loads; both say when to come back."""

    async def scenario() -> None:
        given = settings_for(folder, models={"m": {"load_delay_s": 0.2}}, max_waiting=1)
        given.models["m"].max_leases = 1
        async with running(given) as manager:
            client = manager.client()
            first = client.ask("m")
            loading = await client.refusal("m")
            assert isinstance(loading, Overloaded)
            await client.outcome(first)
            client.ask("m")
            busy = await client.refusal("m")
            assert isinstance(busy, TooManyRequests)
            assert loading.retry_after_s
            assert busy.retry_after_s

    asyncio.run(scenario())


def test_given_up_after_too_many_failures(folder: Path) -> None:
    """Requests are told at once; a retry, or other settings, make it try again."""

    async def scenario() -> None:
        given = settings_for(folder, models={"m": {"load_error": "no luck"}}, max_restarts=0)
        async with running(given) as manager:
            client = manager.client()
            error = await client.refusal("m")
            assert "no luck" in error.message
            assert error.retry_after_s is None
            assert manager.pool.status("m")["retry_in_s"] is None
            await client.refusal("m")
            assert len(manager.started) == 1
            manager.pool.retry("m")
            await client.refusal("m")
            assert len(manager.started) == 2
            given.models["m"].engine_args = {}
            manager.pool.adopt(manager.catalog.scan())
            await use(client, "m")

    asyncio.run(scenario())
