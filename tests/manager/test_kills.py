"""An engine's processes are killed in each of its states; what is drawn happens, and nobody waits
in vain. Real engine workers, with a process of their own as vLLM's have."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.manager.harness import STAND_IN, Client, Manager, is_running, running, settings_for
from tests.manager.leased_work import events, text, under_way
from tests.manager.served import Served
from tests.polling import wait_until

from tricorn.errors import ModelLoadFailed
from tricorn.manager.replicas import placement, replica
from tricorn.manager.replicas.replica import Replica
from tricorn.worker import protocol

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of posix")

SLOW: dict[str, Any] = {"child": True, "load_delay_s": 60}
ENDLESS: dict[str, Any] = {"child": True, "answer": "x", "endless": True, "token_delay_s": 0.01}
PARKABLE: dict[str, Any] = {"child": True, "park": True}
OTHER: dict[str, Any] = {"child": True}


def processes(one: Replica) -> list[psutil.Process]:
    """The worker and what it has started."""
    worker = psutil.Process(one.pid)
    return [worker, *worker.children(recursive=True)]


def kill_worker(one: Replica) -> None:
    processes(one)[0].kill()


def end_worker(one: Replica) -> None:
    """As somebody does who has seen it in a list of processes."""
    processes(one)[0].send_signal(signal.SIGTERM)


def kill_child(one: Replica) -> None:
    processes(one)[1].kill()


WORKER_OR_CHILD = pytest.mark.parametrize("kill", [kill_worker, kill_child])


async def killed(one: Replica, kill: Callable[[Replica], None]) -> None:
    """Do it, wait for the end, and see that nothing is left."""
    there = processes(one)
    assert len(there) == 2
    kill(one)
    await asyncio.wait_for(one.ended(), 15)
    assert one.gone
    assert not any(is_running(process.pid) for process in there)


async def served_anew(manager: Manager, client: Client, model: str) -> None:
    """A request is served, by a process that there was not before."""
    before = list(manager.started)
    lease = await client.lease(model)
    assert manager.replica(model) not in before
    client.give_back(lease)


def run(folder: Path, models: dict[str, dict[str, Any]], scenario: Any, **given: Any) -> None:
    async def with_manager() -> None:
        settings = settings_for(folder, models=models, max_swap_wait_s=0, **given)
        async with running(settings) as manager:
            await scenario(manager, manager.client())

    asyncio.run(with_manager())


def test_loading(folder: Path) -> None:
    """→ FAILED: those who wait are told why."""

    async def scenario(manager: Manager, client: Client) -> None:
        calls = [client.ask("m") for _ in range(2)]
        await manager.until(lambda: manager.state("m") == "LOADING")
        one = manager.replica("m")
        async with asyncio.timeout(15):
            while one.progress is None or len(processes(one)) < 2:
                await asyncio.sleep(0.01)
        await killed(one, kill_worker)
        assert (one.state, one.failed_loading) == ("FAILED", True)
        for call in calls:
            with pytest.raises(ModelLoadFailed, match="SIGKILL"):
                await client.outcome(call)

    run(folder, {"m": SLOW}, scenario)


@pytest.mark.parametrize("kill", [kill_worker, end_worker, kill_child])
def test_ready_and_idle(folder: Path, kill: Callable[[Replica], None]) -> None:
    """→ FAILED: the next request is served by a new process."""

    async def scenario(manager: Manager, client: Client) -> None:
        client.give_back(await client.lease("m"))
        one = manager.replica("m")
        await killed(one, kill)
        assert (one.state, one.failed_loading) == ("FAILED", False)
        assert not one.found_at_fault
        await served_anew(manager, client, "m")

    run(folder, {"m": OTHER}, scenario)


@WORKER_OR_CHILD
def test_ready_and_at_work(folder: Path, kill: Callable[[Replica], None]) -> None:
    """→ FAILED: the stream ends without an end, and who waits for a lease gets a new process."""

    async def scenario(manager: Manager, client: Client) -> None:
        lease = await client.lease("m")
        one = manager.replica("m")
        streaming = asyncio.create_task(events(lease))
        await under_way(one)
        await killed(one, kill)
        assert one.state == "FAILED"
        assert not isinstance((await streaming)[-1], protocol.Finished)
        waiting = client.ask("m")
        client.give_back(lease, lost=True)
        assert (await client.outcome(waiting)).secret != lease.secret

    run(folder, {"m": ENDLESS}, scenario)


@WORKER_OR_CHILD
def test_draining(folder: Path, kill: Callable[[Replica], None]) -> None:
    """→ FAILED: the model that waits for its place gets it."""

    async def scenario(manager: Manager, client: Client) -> None:
        lease = await client.lease("m")
        one = manager.replica("m")
        waiting = client.ask("b")
        await manager.until(lambda: one.state == "DRAINING")
        await killed(one, kill)
        assert one.state == "FAILED"
        client.give_back(lease, lost=True)
        other = await client.outcome(waiting)
        assert await text(other) == "hello"
        client.give_back(other)
        await served_anew(manager, client, "m")

    run(folder, {"m": OTHER, "b": OTHER}, scenario)


@WORKER_OR_CHILD
def test_parked(folder: Path, kill: Callable[[Replica], None]) -> None:
    """→ UNLOADED: it was no loss, so it is no failure."""

    async def scenario(manager: Manager, client: Client) -> None:
        client.give_back(await client.lease("m"))
        one = manager.replica("m")
        client.give_back(await client.lease("b"))
        assert one.state == "PARKED"
        await killed(one, kill)
        assert (one.state, one.failure) == ("UNLOADED", None)
        await served_anew(manager, client, "m")

    run(folder, {"m": PARKABLE, "b": OTHER}, scenario)


def test_waking(folder: Path) -> None:
    """→ FAILED, as by a load."""

    async def scenario(manager: Manager, client: Client) -> None:
        client.give_back(await client.lease("m"))
        one = manager.replica("m")
        client.give_back(await client.lease("b"))
        waking = client.ask("m")
        await manager.until(lambda: one.state == "LOADING")
        await killed(one, kill_worker)
        assert (one.state, one.failed_loading) == ("FAILED", True)
        with pytest.raises(ModelLoadFailed, match="SIGKILL"):
            await client.outcome(waking)

    run(folder, {"m": PARKABLE | {"wake_delay_s": 60}, "b": OTHER}, scenario)


@pytest.mark.parametrize(
    "stubborn", [{"ignore_sigterm": True}, {"ignore_sigterm": True, "silent": True}]
)
def test_one_that_ignores_everything_gives_its_place_up(
    folder: Path, monkeypatch: pytest.MonkeyPatch, stubborn: dict[str, Any]
) -> None:
    """DRAINING or LOADING → UNLOADED by SIGKILL, and the other model is loaded."""
    monkeypatch.setattr(replica, "STOP_WAIT_S", 0.1)
    monkeypatch.setattr(placement, "TERM_WAIT_S", 0.1)

    async def scenario() -> None:
        settings = settings_for(folder, models={"m": stubborn, "b": {}})
        async with running(settings, worker=STAND_IN) as manager:
            client = manager.client()
            call = client.ask("m")
            await manager.until(lambda: manager.state("m") != "UNLOADED")
            one = manager.replica("m")
            if "silent" in stubborn:
                manager.pool.withdraw(client, call)
            else:
                client.give_back(await client.outcome(call))
            await client.lease("b")
            assert one.state == "UNLOADED"
            assert one.pid is not None
            assert not is_running(one.pid)

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "loading",
    [
        {"load_delay_s": 600},
        pytest.param(
            {"native_load_s": 600},
            marks=pytest.mark.skipif(sys.platform != "linux", reason="the kernel ends it"),
        ),
    ],
)
def test_a_killed_manager_takes_what_it_loads_with_it(
    folder: Path, loading: dict[str, Any]
) -> None:
    """Also where the engine's own code lets no thread of Python look at the lifeline."""
    with closing(Served(folder, {"m": loading})) as served:
        wait_until(lambda: workers(served.process.pid))
        (worker,) = workers(served.process.pid)
        wait_until(lambda: worker.num_threads() > 2)  # the lifeline's, and the engine's
        served.process.kill()
        try:
            wait_until(lambda: not is_running(worker.pid))
        finally:
            with suppress(psutil.NoSuchProcess):
                worker.kill()


def workers(manager: int) -> list[psutil.Process]:
    return [
        child
        for child in psutil.Process(manager).children()
        if any("worker/__main__.py" in part for part in child.cmdline())
    ]
