"""Where engine workers run: real ones, with the fake engine."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.manager.harness import Manager, is_running, running, settings_for
from tests.manager.leased_work import text

from tricorn.errors import TricornError
from tricorn.manager.replicas.placement import suits
from tricorn.settings.config import ModelSettings, Settings

linux = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs Linux's affinity")


def bound(folder: Path, **binding: Any) -> Settings:
    entry = ModelSettings.model_validate({"engine": "fake"} | binding)
    return settings_for(folder).model_copy(update={"models": {"m": entry}})


async def waiting(manager: Manager) -> int:
    """The process id of a spare worker that has imported its engine."""
    async with asyncio.timeout(15):
        while not (figures := manager.spares.figures()):
            await asyncio.sleep(0.01)
    return int(figures[0]["pid"])


def spared(folder: Path) -> Settings:
    entries = {"m": {}, "b": {}, "bound": {"env": {"A_KEY": "s"}}}
    models = {
        name: ModelSettings.model_validate({"engine": "fake"} | entry)
        for name, entry in entries.items()
    }
    return settings_for(folder, spare_workers=1).model_copy(update={"models": models})


def test_a_spare_worker_becomes_the_next_model(folder: Path) -> None:
    """It serves, writes to that model's log, and ends with it; another one waits then."""

    async def scenario() -> None:
        async with running(spared(folder)) as manager:
            client = manager.client()
            client.give_back(await client.lease("m"))
            spare = await waiting(manager)
            lease = await client.lease("b")
            assert manager.replica("b").pid == spare
            assert await text(lease) == "hello"
            assert "ready" in (folder / "logs/engines/b.log").read_text()
            client.give_back(lease)
            assert await waiting(manager) != spare
            await client.lease("bound")
            bound = manager.replica("bound").pid
            assert bound != await waiting(manager)
            assert psutil.Process(bound).environ()["A_KEY"] == "s"
            assert not is_running(spare)

    asyncio.run(scenario())


def test_a_spare_worker_that_was_killed(folder: Path) -> None:
    """The load that comes in the same moment does not get it."""

    async def scenario() -> None:
        async with running(spared(folder)) as manager:
            client = manager.client()
            client.give_back(await client.lease("m"))
            spare = await waiting(manager)
            os.kill(spare, signal.SIGKILL)
            while is_running(spare):
                time.sleep(0.001)  # and the event loop has not heard of it
            await client.lease("b")
            assert manager.replica("b").pid != spare

    asyncio.run(scenario())


def test_spare_workers_end_with_the_manager(folder: Path) -> None:
    """And with nothing left of them."""

    async def scenario() -> int:
        async with running(spared(folder)) as manager:
            client = manager.client()
            client.give_back(await client.lease("m"))
            return await waiting(manager)

    assert not is_running(asyncio.run(scenario()))


@pytest.mark.parametrize(
    ("entry", "suited"),
    [
        ({}, True),
        ({"ttl": 60, "context_length": 512}, True),
        ({"threads": 3}, False),
        ({"env": {"A": "b"}}, False),
        ({"gpus": [0]}, False),
        ({"cpus": [0]}, False),
        ({"numa_node": 0}, False),
    ],
)
def test_whom_a_spare_worker_suits(folder: Path, entry: dict[str, Any], suited: bool) -> None:
    """A process has the environment, and the libraries' threads, that it was started with."""

    async def scenario() -> bool:
        settings = bound(folder, **entry)
        async with running(settings) as manager:
            spare = await manager._placement.start_spare("fake", None)
            spare.kill()
            await spare.wait()
            spare.hang_up()
            served = manager.pool.model("m")
            assert served is not None
            return suits(spare, served.spec)

    assert asyncio.run(scenario()) == suited


@linux
def test_a_worker_runs_where_it_is_to(folder: Path) -> None:
    """On its cores, with its variables over the inherited ones; both are told."""
    core = max(os.sched_getaffinity(0))

    async def scenario() -> None:
        settings = bound(folder, cpus=[core], gpus=[1], env={"HOME": "/elsewhere", "A_KEY": "s"})
        async with running(settings) as manager:
            lease = await manager.client().lease("m")
            assert lease.model.details["cpus"] == str(core)
            assert lease.model.details["gpus"] == "1"
            worker = psutil.Process(manager.replica("m").pid)
            assert worker.cpu_affinity() == [core]
            environment = worker.environ()
            assert (environment["HOME"], environment["A_KEY"]) == ("/elsewhere", "s")
            assert environment["CUDA_VISIBLE_DEVICES"] == "1"
            assert environment["PATH"] == os.environ["PATH"]

    asyncio.run(scenario())


def test_an_unbound_worker_inherits(folder: Path) -> None:
    """Its details name nothing that was not set."""

    async def scenario() -> None:
        async with running(bound(folder)) as manager:
            lease = await manager.client().lease("m")
            assert not {"cpus", "gpus", "numa_node"} & set(lease.model.details)
            worker = psutil.Process(manager.replica("m").pid)
            assert worker.environ().get("CUDA_VISIBLE_DEVICES") == os.environ.get(
                "CUDA_VISIBLE_DEVICES"
            )

    asyncio.run(scenario())


@linux
def test_cores_that_are_not_there(folder: Path) -> None:
    """The request is told which, and nothing is started."""

    async def scenario() -> TricornError:
        async with running(bound(folder, cpus=[60000])) as manager:
            error = await manager.client().refusal("m")
            assert manager.started == []
            return error

    assert "cpus names 60000, and this machine has" in asyncio.run(scenario()).message


def test_variables_are_not_logged(folder: Path) -> None:
    """They may be secrets."""

    async def scenario() -> str:
        settings = bound(folder, env={"A_TOKEN": "geheim-1234"})
        async with running(settings) as manager:
            await manager.client().lease("m")
        return (folder / "logs/engines/m.log").read_text()

    assert "geheim" not in asyncio.run(scenario())
