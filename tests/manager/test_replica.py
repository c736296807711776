"""Tests of `manager.replicas.replica` and `placement`, on a stand-in worker that misbehaves."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.manager.harness import STAND_IN, Manager, is_running, running, settings_for

from tricorn import logs
from tricorn.errors import ModelLoadFailed
from tricorn.manager.protocol.worker import SetLevel
from tricorn.manager.replicas import placement, replica
from tricorn.manager.replicas.placement import LocalEngine, log_name

posix = pytest.mark.skipif(os.name != "posix", reason="signals of posix")


def with_worker(folder: Path, knobs: dict[str, Any], **given: Any) -> Any:
    return running(settings_for(folder, models={"m": knobs}, **given), worker=STAND_IN)


async def failed_load(manager: Manager) -> str:
    error = await manager.client().refusal("m")
    assert isinstance(error, ModelLoadFailed)
    return error.message


@pytest.mark.parametrize("transport", ["unix", "tcp"])
def test_ready_and_stopped(folder: Path, transport: str) -> None:
    """A worker that says it is ready is leased; stopped it ends, and its state is UNLOADED."""

    async def scenario() -> None:
        async with with_worker(folder, {}, transport=transport) as manager:
            lease = await manager.client().lease("m")
            assert lease.address == "tcp:127.0.0.1:1"
            one = manager.replica("m")
            assert is_running(one.pid)
            await manager.pool.stop()
            assert one.state == "UNLOADED"
            assert one.gone
            assert not is_running(one.pid)

    asyncio.run(scenario())


def test_exit_while_loading(folder: Path) -> None:
    """A worker that ends before it is ready fails the load with its exit code; its log is kept."""

    async def scenario() -> None:
        async with with_worker(folder, {"exit": 7, "say": "line one\nline two"}) as manager:
            assert "ended with exit code 7" in await failed_load(manager)
            assert manager.started[0].log_tail == ["line one", "line two"]

    asyncio.run(scenario())


def test_log_tail_is_of_this_process_only(folder: Path) -> None:
    """What an earlier process wrote to the same log is not taken for the reason of this one."""

    async def scenario() -> None:
        log = folder / "logs/engines/m.log"
        log.parent.mkdir(parents=True)
        log.write_text("an older line\n")
        async with with_worker(folder, {"exit": 1, "say": "x\n" * 80}) as manager:
            await failed_load(manager)
            assert manager.started[0].log_tail == ["x"] * placement.LOG_LINES
        assert log.read_text().startswith("an older line\nx\n")

    asyncio.run(scenario())


def test_load_deadline(folder: Path) -> None:
    """A worker that never gets ready is ended at the deadline; its log is kept."""

    async def scenario() -> None:
        knobs = {"silent": True, "say": "layer 3 of 9"}
        async with with_worker(folder, knobs, load_timeout_s=1) as manager:
            assert "not ready within 1 s" in await failed_load(manager)
            one = manager.started[0]
            assert one.log_tail == ["layer 3 of 9"]
            await asyncio.wait_for(one.ended(), 10)
            assert not is_running(one.pid)

    asyncio.run(scenario())


def test_missing_interpreter(folder: Path) -> None:
    """An engine environment that is not there fails the load with the reason."""

    async def scenario() -> None:
        async with with_worker(folder, {}) as manager:
            manager._placement._engine_python = lambda name: folder / "no-python"
            assert "cannot be started" in await failed_load(manager)
            (why,) = manager.started[0].log_tail
            assert "no-python" in why

    asyncio.run(scenario())


def test_what_is_secret_is_not_kept(folder: Path) -> None:
    """Neither in the log's last lines nor in the reason, if an engine prints its environment."""

    async def scenario() -> None:
        settings = settings_for(folder, models={"m": {"exit": 7, "say": "token=s3cr3t-value"}})
        settings.models["m"].env["ANY_TOKEN"] = "s3cr3t-value"
        async with running(settings, worker=STAND_IN) as manager:
            await failed_load(manager)
            assert manager.started[0].log_tail == ["token=[redacted]"]
        settings.models["m"].engine_args = {"load_error": "401 for s3cr3t-value"}
        async with running(settings) as manager:
            assert "401 for [redacted]" in await failed_load(manager)

    asyncio.run(scenario())


@posix
def test_stubborn_worker_is_killed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that ignores Stop, SIGTERM and its lifeline's end is ended by SIGKILL."""
    monkeypatch.setattr(replica, "STOP_WAIT_S", 0.1)
    monkeypatch.setattr(placement, "TERM_WAIT_S", 0.1)

    async def scenario() -> None:
        async with with_worker(folder, {"ignore_sigterm": True}) as manager:
            await manager.client().lease("m")
            one = manager.replica("m")
            await manager.pool.stop()
            assert not is_running(one.pid)
            assert one.state == "UNLOADED"

    asyncio.run(scenario())


@posix
def test_exit_while_ready(folder: Path) -> None:
    """A worker that ends while it is idle makes the model FAILED, and nobody starts it again."""

    async def scenario() -> None:
        async with with_worker(folder, {}) as manager:
            client = manager.client()
            client.give_back(await client.lease("m"))
            one = manager.replica("m")
            os.kill(one.pid, signal.SIGUSR1)
            await manager.until(lambda: one.gone)
            assert one.state == "FAILED"
            assert "exit code 9" in one.failure.message
            assert manager.state("m") == "FAILED"
            assert len(manager.started) == 1
            await client.lease("m")

    asyncio.run(scenario())


def test_undrawn_arrow_is_refused(folder: Path) -> None:
    """The state machine has no other arrows than those that are drawn."""

    async def scenario() -> None:
        async with with_worker(folder, {}) as manager:
            await manager.client().lease("m")
            with pytest.raises(RuntimeError, match="no arrow from READY to LOADING"):
                manager.replica("m").start()

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("model_id", "expected"),
    [("org/m.Q4", "org_m.Q4"), ("../x", "_x"), ("", "_"), ("a b:c", "a_b_c")],
)
def test_log_name(model_id: str, expected: str) -> None:
    """A model id becomes a plain file name."""
    assert log_name(model_id) == expected


def test_log_tail_of_a_log_that_has_begun_anew(folder: Path) -> None:
    """What the process wrote since is its own."""
    log = folder / "m.log"
    log.write_text("a long line of old\n")
    process: Any = SimpleNamespace(pid=1)
    engine = LocalEngine(process, "", (log, log.stat().st_size), None)
    assert engine.log_tail() == []
    log.write_text("new\n")
    assert engine.log_tail() == ["new"]


def test_the_level_changes_while_it_starts(folder: Path) -> None:
    """A worker that was started with another level is told when it connects; later at once."""

    async def scenario() -> None:
        async with with_worker(folder, {}) as manager:
            one = manager._make("replica-9", manager.pool.served()[0].spec, lambda replica: None)
            told: list[object] = []
            logs.set_level("ERROR")
            assert one.attached(told.append)
            one.set_log_level("DEBUG")
            assert told == [SetLevel("ERROR"), SetLevel("DEBUG")]

    asyncio.run(scenario())
