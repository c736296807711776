"""Models with several replicas, on real engine workers with the fake engine."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

from tests.manager import virtual_time
from tests.manager.harness import Manager, running, settings_for
from tests.manager.simulation import Plan, World

from tricorn.engines.spec import ModelSpec
from tricorn.manager.pool.bounds import Bounds


def settings(folder: Path, *, replicas: int, engine_args: Any = None, **given: Any) -> Any:
    found = settings_for(folder, models={"m": engine_args or {}}, **given)
    found.models["m"].replicas = replicas
    return found


def states(manager: Manager) -> list[str]:
    return [replica.state for replica in manager.replicas("m")]


def changed(manager: Manager, **engine_args: Any) -> dict[str, ModelSpec]:
    """The catalog after its settings have changed."""
    manager.settings.models["m"].engine_args = engine_args
    return manager.catalog.scan()


def test_all_are_started_and_share_the_work(folder: Path) -> None:
    """One load brings all of them, though only one model may be in memory."""

    async def scenario() -> None:
        async with running(settings(folder, replicas=3)) as manager:
            client = manager.client()
            await client.lease("m")
            await manager.until(lambda: states(manager) == ["READY"] * 3)
            for _ in range(5):
                await client.lease("m")
            assert [one.leases for one in manager.replicas("m")] == [2, 2, 2]

    asyncio.run(scenario())


def test_started_apart() -> None:
    """Each of them is started the interval after the one before."""

    async def scenario() -> None:
        bounds = Bounds(1000, 0, 5.0, replica_start_interval_s=30.0)
        world = World({"m": Plan(memory=1)}, budget=10, replicas_each=3, bounds=bounds)
        world.open()
        await world.client().lease("m")
        started = []
        for _ in range(9):
            started.append(len(world.alive))
            await asyncio.sleep(10.0)
        assert started == [1, 1, 1, 2, 2, 2, 3, 3, 3]
        await world.pool.stop()

    virtual_time.run(scenario())


def test_models_started_apart() -> None:
    """Whoever asks, one process after another."""

    async def scenario() -> None:
        bounds = Bounds(1000, 0, 5.0, model_start_interval_s=30.0)
        plans = {"a": Plan(memory=1), "b": Plan(memory=1), "c": Plan(memory=1)}
        world = World(plans, budget=10, bounds=bounds)
        world.open()
        client = world.client()
        calls = [client.ask(name) for name in "abc"]
        started = []
        for _ in range(9):
            await asyncio.sleep(10.0)
            started.append(len(world.alive))
        assert started == [1, 1, 1, 2, 2, 2, 3, 3, 3]
        leases = [await client.outcome(call) for call in calls]
        assert [lease.replica for lease in leases] == ["replica-1", "replica-2", "replica-3"]
        await world.pool.stop()

    virtual_time.run(scenario())


def test_conversations_stay_where_they_are(folder: Path) -> None:
    """A follow-up goes to the replica that has the beginning."""

    async def scenario() -> None:
        async with running(settings(folder, replicas=2)) as manager:
            client = manager.client()
            client.give_back(await client.lease("m", prefix=(1,)))
            await manager.until(lambda: states(manager) == ["READY"] * 2)
            first = await client.lease("m", prefix=(7, 8))
            client.give_back(first)
            for _ in range(4):
                again = await client.lease("m", prefix=(7, 8, 9))
                assert again.address == first.address
                client.give_back(again)

    asyncio.run(scenario())


def test_one_that_crashes_is_replaced_while_the_other_serves(folder: Path) -> None:
    async def scenario() -> None:
        async with running(settings(folder, replicas=2)) as manager:
            client = manager.client()
            await client.lease("m")
            await manager.until(lambda: states(manager) == ["READY"] * 2)
            victim = manager.replicas("m")[1]
            assert victim.pid is not None
            os.kill(victim.pid, signal.SIGKILL)
            await manager.until(lambda: victim.state == "FAILED")
            assert manager.state("m") == "READY"
            await client.lease("m")
            await manager.until(lambda: states(manager) == ["READY"] * 2)
            assert victim not in manager.replicas("m")

    asyncio.run(scenario())


def test_changed_settings_replace_it_without_a_gap(folder: Path) -> None:
    """The new one is ready before the old one goes, and that one finishes what it has."""

    async def scenario() -> None:
        async with running(settings(folder, replicas=1)) as manager:
            client = manager.client()
            lease = await client.lease("m")
            [old] = manager.replicas("m")
            manager.pool.adopt(changed(manager, load_delay_s=0.2))
            await manager.until(lambda: len(manager.started) == 2)
            assert (await client.lease("m")).address == lease.address
            await manager.until(lambda: old.state == "DRAINING")
            fresh = manager.started[1]
            assert fresh.state == "READY"
            assert (await client.lease("m")).address == fresh.address
            for number in list(client.answers):
                manager.pool.withdraw(client, number)
            await manager.until(lambda: old.gone)
            assert manager.replicas("m") == [fresh]

    asyncio.run(scenario())


def test_settings_that_cannot_be_loaded_replace_nothing(folder: Path) -> None:
    """What runs goes on."""

    async def scenario() -> None:
        async with running(settings(folder, replicas=1)) as manager:
            client = manager.client()
            client.give_back(await client.lease("m"))
            [old] = manager.replicas("m")
            manager.pool.adopt(changed(manager, load_error="out of luck"))
            await manager.until(lambda: len(manager.started) == 2 and manager.started[1].gone)
            assert old.state == "READY"
            await client.lease("m")
            assert "out of luck" in manager.pool.status("m")["last_error"]

    asyncio.run(scenario())


def test_what_only_the_manager_goes_by_replaces_nothing(folder: Path) -> None:
    """Fewer or more replicas are there at once; none is started anew."""

    async def scenario() -> None:
        given = settings(folder, replicas=1)
        async with running(given) as manager:
            await manager.client().lease("m")
            [first] = manager.replicas("m")
            given.models["m"].replicas = 2
            manager.pool.adopt(manager.catalog.scan())
            await manager.until(lambda: states(manager) == ["READY"] * 2)
            given.models["m"].replicas = 1
            manager.pool.adopt(manager.catalog.scan())
            await manager.until(lambda: manager.replicas("m") == [first])
            assert first.state == "READY"

    asyncio.run(scenario())


def test_leases_are_bounded(folder: Path) -> None:
    """A replica gets so many requests at once; the others wait in the manager."""

    async def scenario() -> None:
        given = settings(folder, replicas=1)
        given.models["m"].max_leases = 2
        async with running(given) as manager:
            client = manager.client()
            leases = [await client.lease("m") for _ in range(2)]
            third = client.ask("m")
            await asyncio.sleep(0)
            assert not client.answers[third].done()
            client.give_back(leases[0])
            await client.outcome(third)

    asyncio.run(scenario())
