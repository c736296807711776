"""Where engine workers run: real ones, with the fake engine."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.manager.harness import running, settings_for

from tricorn.config import ModelSettings, Settings
from tricorn.errors import TricornError

linux = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs Linux's affinity")


def bound(folder: Path, **binding: Any) -> Settings:
    entry = ModelSettings.model_validate({"engine": "fake"} | binding)
    return settings_for(folder).model_copy(update={"models": {"m": entry}})


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
