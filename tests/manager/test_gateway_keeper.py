"""Tests of `lifecycle.gateway_keeper` and `gateway_process`, with stand-ins of gunicorn."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.manager.harness import is_running, settings_for

from tricorn.errors import Conflict, InternalError, StartupError
from tricorn.manager.lifecycle import gateway_keeper
from tricorn.manager.lifecycle.gateway_keeper import GatewayKeeper
from tricorn.manager.replicas.backoff import Backoff

WAIT_S = 10
posix = pytest.mark.skipif(os.name != "posix", reason="signals of posix")
READY = "open(f\"{os.environ['TRICORN_RUN_DIR']}/{os.getpid()}\", 'w').close()"
PATIENT = f"""
import os, signal
{READY}
signal.sigwait([signal.SIGTERM])
"""
STUBBORN = f"""
import os, signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
{READY}
signal.pause()
"""
BUSY = f"""
import os, signal, time
signal.signal(signal.SIGTERM, lambda *_: open(f"{{os.environ['TRICORN_RUN_DIR']}}/asked", "w"))
signal.signal(signal.SIGQUIT, lambda *_: os._exit(0))
{READY}
while True: time.sleep(9)
"""
"""Finishes its requests for ever, once it has been asked to end."""


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tricorn.manager.replicas.backoff.GATEWAY", Backoff(0.01, 0.01))


@pytest.fixture
def listener() -> socket.socket:
    found = socket.socket()
    found.bind(("127.0.0.1", 0))
    found.listen()
    return found


@asynccontextmanager
async def kept(
    folder: Path, listener: socket.socket | None, code: str, **settings: object
) -> AsyncIterator[GatewayKeeper]:
    """A keeper that runs, once its gateway has connected; stopped at the end."""
    found = settings_for(folder, workers=1, **settings)
    gateway = GatewayKeeper(lambda: found, folder, listener, python(code))
    running = asyncio.create_task(gateway.run())
    await other_pid(gateway, folder, None)
    yield gateway
    gateway.stop()
    await asyncio.wait_for(running, WAIT_S)


async def other_pid(gateway: GatewayKeeper, folder: Path, before: int | None) -> int:
    """Of the next gateway, which then has connected."""
    async with asyncio.timeout(WAIT_S):
        while gateway.pid in (None, before) or not (folder / str(gateway.pid)).exists():
            await asyncio.sleep(0.005)
    pid = gateway.pid
    assert pid is not None
    assert gateway.connected(pid)
    return pid


async def connect_next(gateway: GatewayKeeper) -> int:
    """The new gateway's only worker connects, as soon as it is there; its pid."""
    async with asyncio.timeout(WAIT_S):
        while gateway._new is None:
            await asyncio.sleep(0.005)
    pid = gateway._new.pid
    assert not gateway.connected(pid)  # it does not serve yet
    return pid


@posix
def test_dead_gateway_is_started_again(tmp_path: Path) -> None:
    """A gateway that dies is started anew, and the last one ends with `stop`."""

    async def scenario() -> None:
        async with kept(tmp_path, None, PATIENT) as gateway:
            first = gateway.pid
            assert first is not None
            assert not gateway.connected(os.getpid())
            os.kill(first, signal.SIGKILL)
            second = await other_pid(gateway, tmp_path, first)
        assert not is_running(second)

    asyncio.run(scenario())


def test_hopeless_gateway_is_given_up(tmp_path: Path) -> None:
    """A gateway that never comes up ends the start with its exit code."""
    settings = settings_for(tmp_path)
    gateway = GatewayKeeper(lambda: settings, tmp_path, None, python("raise SystemExit(3)"))
    with pytest.raises(StartupError, match="it ended with exit code 3 each time"):
        asyncio.run(gateway.run())


@posix
@pytest.mark.parametrize("code", [STUBBORN, BUSY])
def test_gateway_that_does_not_end_is_cut(tmp_path: Path, code: str) -> None:
    """After DRAIN_TIMEOUT_S it is told to leave the rest, or ended by force."""

    async def scenario() -> None:
        async with kept(tmp_path, None, code, drain_timeout_s=0.2) as gateway:
            pid = gateway.pid
        assert pid is not None
        assert not is_running(pid)

    asyncio.run(scenario())


# --- one for another ------------------------------------------------------------------------------


@posix
def test_replaced(tmp_path: Path, listener: socket.socket) -> None:
    """The new one serves once it has connected; the old one takes the time that it needs; the
    manager's socket goes to both and is closed at the end. Then the new one is looked after."""

    async def scenario() -> None:
        port = listener.getsockname()[1]
        async with kept(tmp_path, listener, BUSY, drain_timeout_s=0.1) as gateway:
            old = gateway.pid
            assert old is not None
            replacing = asyncio.create_task(gateway.replace())
            new = await connect_next(gateway)
            told = await asyncio.wait_for(replacing, WAIT_S)
            assert (told["pid"], told["replaced_pid"], told["workers"]) == (new, old, 1)
            assert gateway.pid == new
            async with asyncio.timeout(WAIT_S):
                while not (tmp_path / "asked").exists():
                    await asyncio.sleep(0.005)
            assert is_running(old)
            socket.create_connection(("127.0.0.1", port)).close()
            os.kill(new, signal.SIGKILL)
            third = await other_pid(gateway, tmp_path, new)
        assert not any(is_running(pid) for pid in (old, new, third))
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))

    asyncio.run(scenario())


@posix
def test_new_one_is_broken(tmp_path: Path, listener: socket.socket) -> None:
    """The old one serves on, and is replaced at the next try."""

    async def scenario() -> None:
        async with kept(tmp_path, listener, PATIENT) as gateway:
            old = gateway.pid
            gateway._command = python("raise SystemExit(3)")
            with pytest.raises(InternalError, match=r"ended with exit code 3\. The old one serves"):
                await gateway.replace()
            assert gateway.pid == old
            gateway._command = python(PATIENT)
            replacing = asyncio.create_task(gateway.replace())
            await connect_next(gateway)
            assert (await replacing)["replaced_pid"] == old

    asyncio.run(scenario())


@posix
def test_new_one_hangs(
    tmp_path: Path, listener: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that never connects is ended; a second order meanwhile is refused."""
    monkeypatch.setattr(gateway_keeper, "UP_S", 0.2)

    async def scenario() -> None:
        async with kept(tmp_path, listener, PATIENT) as gateway:
            old = gateway.pid
            replacing = asyncio.create_task(gateway.replace())
            await asyncio.sleep(0)
            with pytest.raises(Conflict, match="already"):
                await gateway.replace()
            with pytest.raises(InternalError, match="did not come up in time"):
                await replacing
            assert gateway.pid == old

    asyncio.run(scenario())


@posix
def test_stopped_meanwhile(tmp_path: Path, listener: socket.socket) -> None:
    """An end of Tricorn does not wait for a new gateway."""

    async def scenario() -> None:
        async with kept(tmp_path, listener, PATIENT) as gateway:
            replacing = asyncio.create_task(gateway.replace())
            async with asyncio.timeout(WAIT_S):
                while gateway._new is None:
                    await asyncio.sleep(0.005)
            new = gateway._new.pid
            gateway.stop()
            with pytest.raises(Conflict, match="shutting down"):
                await replacing
        assert not is_running(new)

    asyncio.run(scenario())


def test_without_a_socket_to_hand_on(tmp_path: Path) -> None:
    """Where each gateway binds for itself two cannot stand side by side."""
    settings = settings_for(tmp_path)
    gateway = GatewayKeeper(lambda: settings, tmp_path, None)
    with pytest.raises(Conflict, match="restart Tricorn as a whole"):
        asyncio.run(gateway.replace())
