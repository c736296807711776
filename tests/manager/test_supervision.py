"""Engines that hang, that cannot generate, and that are tried while they are idle: real workers."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from tests.manager.harness import Manager, is_running, running, settings_for
from tests.manager.leased_work import events, text, under_way

from tricorn.errors import EngineLost, ModelLoadFailed
from tricorn.manager.replicas.replica import Replica
from tricorn.worker import protocol

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of posix")


def supervised(folder: Path, models: dict[str, dict[str, Any]], **given: Any) -> Any:
    return running(settings_for(folder, models=models, **({"canary_interval_s": 0} | given)))


async def until_gone(replica: Replica) -> None:
    await asyncio.wait_for(replica.ended(), 30)
    assert replica.gone


def reason(replica: Replica) -> str:
    assert isinstance(replica.failure, EngineLost)
    return replica.failure.message


def pid(replica: Replica) -> int:
    assert replica.pid is not None
    return replica.pid


# --- hangs --------------------------------------------------------------------------------------


def test_a_step_that_hangs(folder: Path) -> None:
    """Its process is killed, whoever waits for it is told, and it is started again."""

    async def scenario() -> None:
        models = {"m": {"hang_at_token": 3, "hang_marker": str(folder / "hung")}}
        async with supervised(folder, models, hang_timeout_s=1) as manager:
            client = manager.client()
            lease = await client.lease("m")
            first = manager.replica("m")
            told = await events(lease)
            assert not isinstance(told[-1], protocol.Finished)
            await until_gone(first)
            assert "made no progress" in reason(first)
            assert "while 1 request was waiting" in reason(first)
            assert any("ready" in line for line in first.log_tail)
            assert not is_running(pid(first))
            client.give_back(lease, lost=True)
            assert await text(await client.lease("m")) == "hello"
            assert manager.replica("m") is not first

    asyncio.run(scenario())


def test_a_stopped_process(folder: Path) -> None:
    """It says nothing any more, and is replaced; who asks meanwhile waits for the new one."""

    async def scenario() -> None:
        models = {"m": {"answer": "x", "endless": True, "token_delay_s": 0.01}}
        async with supervised(folder, models, hang_timeout_s=1) as manager:
            client = manager.client()
            lease = await client.lease("m")
            first = manager.replica("m")
            streaming = asyncio.create_task(events(lease))
            await under_way(first)
            os.kill(pid(first), signal.SIGSTOP)
            assert not isinstance((await streaming)[-1], protocol.Finished)
            await until_gone(first)
            assert "not been heard of" in reason(first)
            client.give_back(lease, lost=True)
            assert (await client.lease("m")).secret != lease.secret

    asyncio.run(scenario())


def test_a_hang_while_it_drains(folder: Path) -> None:
    """Another model waits for its place, and gets it."""

    async def scenario() -> None:
        models = {"m": {"hang_at_token": 2}, "b": {}}
        options = {"hang_timeout_s": 1, "max_swap_wait_s": 0}
        async with supervised(folder, models, **options) as manager:
            client = manager.client()
            lease = await client.lease("m")
            first = manager.replica("m")
            hanging = asyncio.create_task(events(lease))
            waiting = client.ask("b")
            await manager.until(lambda: first.state == "DRAINING")
            await hanging
            await until_gone(first)
            assert first.state == "FAILED"
            client.give_back(lease, lost=True)
            assert await text(await client.outcome(waiting)) == "hello"

    asyncio.run(scenario())


def test_what_is_slow_is_no_hang(folder: Path) -> None:
    """Each step takes long, but they go on."""

    async def scenario() -> None:
        models = {"m": {"answer": "abc", "token_delay_s": 0.9}}
        async with supervised(folder, models, hang_timeout_s=2) as manager:
            assert await text(await manager.client().lease("m")) == "abc"
            assert manager.replica("m").state == "READY"

    asyncio.run(scenario())


# --- canaries -----------------------------------------------------------------------------------


def test_one_that_cannot_generate_is_not_ready(folder: Path) -> None:
    """Who waits is told that it was loaded, and why that is not enough; so is the log kept."""

    async def scenario() -> None:
        async with supervised(folder, {"m": {"generate_error": "no kernel image"}}) as manager:
            error = await manager.client().refusal("m")
            assert isinstance(error, ModelLoadFailed)
            assert "brought into memory, but could not generate a token" in error.message
            assert "no kernel image" in error.message
            assert any("no kernel image" in line for line in manager.started[0].log_tail)

    asyncio.run(scenario())


def test_an_idle_one_is_tried(folder: Path) -> None:
    """It generates a token each time, and nobody has a lease for it."""

    async def scenario() -> None:
        async with supervised(folder, {"m": {}}, canary_interval_s=0.1) as manager:
            client = manager.client()
            client.give_back(await client.lease("m"))
            one = manager.replica("m")
            await _is_tried(one, times=2)
            assert (one.state, one.leases) == ("READY", 0)
            assert await text(await client.lease("m")) == "hello"

    asyncio.run(scenario())


def test_an_idle_one_that_fails_its_trial(folder: Path) -> None:
    """It is FAILED with the engine's reason, its process gone, and the next request is served."""

    async def scenario() -> None:
        marker = folder / "broken"
        models = {"m": {"generate_error": "the device is gone", "error_marker": str(marker)}}
        async with supervised(folder, models, canary_interval_s=0.1) as manager:
            client = manager.client()
            client.give_back(await client.lease("m"))
            first = manager.replica("m")
            marker.touch()
            await until_gone(first)
            assert (first.state, first.failed_loading) == ("FAILED", False)
            assert first.found_at_fault
            assert "tried with one token while it was idle, and failed" in reason(first)
            assert "the device is gone" in reason(first)
            marker.unlink()
            await _served_again(manager)

    asyncio.run(scenario())


def test_an_idle_one_that_does_not_answer_its_trial(folder: Path) -> None:
    """As one that hangs: its engine's step never ends."""

    async def scenario() -> None:
        marker = folder / "hung"
        marker.touch()
        models = {"m": {"hang_at_token": 1, "hang_marker": str(marker)}}
        options = {"canary_interval_s": 0.1, "hang_timeout_s": 1}
        async with supervised(folder, models, **options) as manager:
            client = manager.client()
            client.give_back(await client.lease("m"))
            first = manager.replica("m")
            marker.unlink()
            await until_gone(first)
            assert first.state == "FAILED"
            assert not is_running(pid(first))
            await _served_again(manager)

    asyncio.run(scenario())


def test_a_parked_one_is_not_tried(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has nothing to generate with."""

    async def scenario() -> None:
        models: dict[str, dict[str, Any]] = {"a": {"park": True}, "b": {}}
        options = {"canary_interval_s": 0.1, "hang_timeout_s": 1}
        async with supervised(folder, models, **options) as manager:
            client = manager.client()
            client.give_back(await client.lease("a"))
            parked = manager.replica("a")
            client.give_back(await client.lease("b"))
            assert parked.state == "PARKED"
            told: list[object] = []
            monkeypatch.setattr(parked._link, "tell", told.append)
            await _is_tried(manager.replica("b"), times=3)
            assert (parked.state, told) == ("PARKED", [])
            monkeypatch.undo()

    asyncio.run(scenario())


def test_one_that_cannot_generate_after_waking(folder: Path) -> None:
    """It is no more ready than after a load."""

    async def scenario() -> None:
        marker = folder / "broken"
        broken = {"generate_error": "weights are lost", "error_marker": str(marker)}
        models: dict[str, dict[str, Any]] = {"a": {"park": True} | broken, "b": {}}
        async with supervised(folder, models) as manager:
            client = manager.client()
            client.give_back(await client.lease("a"))
            client.give_back(await client.lease("b"))
            marker.touch()
            assert "weights are lost" in (await client.refusal("a")).message

    asyncio.run(scenario())


async def _is_tried(replica: Replica, times: int) -> None:
    """Beside the one time before it was ready."""
    async with asyncio.timeout(15):
        while replica.stats is None or replica.stats.generated_tokens <= times:
            await asyncio.sleep(0.01)


async def _served_again(manager: Manager) -> None:
    assert await text(await manager.client().lease("m")) == "hello"
