"""Tests of `tricorn.manager.gateway_process`, with a stand-in for gunicorn."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

import pytest
from tests.manager.harness import is_running, settings_for

from tricorn.errors import StartupError
from tricorn.manager.backoff import Backoff
from tricorn.manager.gateway_process import GatewayProcess, check_port

posix = pytest.mark.skipif(os.name != "posix", reason="signals of posix")
PATIENT = "import signal; signal.sigwait([signal.SIGTERM])"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1); signal.pause()"


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_free_port_passes() -> None:
    """A port that is free is let go again, so that the check can be made twice."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    check_port("127.0.0.1", port)
    check_port("127.0.0.1", port)


def test_taken_port_is_a_clear_error() -> None:
    """A port on which somebody listens is refused, with the way out."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(StartupError, match=f"cannot listen on 127.0.0.1:{port}.*--port"):
            check_port("127.0.0.1", port)


def test_address_of_another_machine_is_a_clear_error() -> None:
    """A host that is not this machine's cannot be listened on."""
    with pytest.raises(StartupError, match=r"192\.0\.2\.1.* is no address of this"):
        check_port("192.0.2.1", 8000)


@posix
def test_dead_gateway_is_started_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gateway that dies is replaced, and the last one ends with `stop`."""
    monkeypatch.setattr("tricorn.manager.backoff.GATEWAY", Backoff(0.01, 0.01))

    async def scenario() -> None:
        gateway = GatewayProcess(settings_for(tmp_path), tmp_path, python(PATIENT))
        running = asyncio.create_task(gateway.run())

        async def next_pid(before: int | None) -> int:
            while gateway.pid in (None, before):
                await asyncio.sleep(0.005)
            assert gateway.pid is not None
            assert gateway.connected(gateway.pid)
            assert not gateway.connected(os.getpid())
            return gateway.pid

        first = await asyncio.wait_for(next_pid(None), 10)
        os.kill(first, signal.SIGKILL)
        second = await asyncio.wait_for(next_pid(first), 10)
        gateway.stop()
        await asyncio.wait_for(running, 10)
        assert not is_running(second)

    asyncio.run(scenario())


def test_hopeless_gateway_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gateway that never comes up ends the start with its exit code."""
    monkeypatch.setattr("tricorn.manager.backoff.GATEWAY", Backoff(0.01, 0.01))
    gateway = GatewayProcess(settings_for(tmp_path), tmp_path, python("raise SystemExit(3)"))
    with pytest.raises(StartupError, match="exit code 3"):
        asyncio.run(gateway.run())


@posix
def test_gateway_that_does_not_end_is_killed(tmp_path: Path) -> None:
    """After DRAIN_TIMEOUT_S the gateway is ended by force."""

    async def scenario() -> None:
        settings = settings_for(tmp_path, drain_timeout_s=0.2)
        gateway = GatewayProcess(settings, tmp_path, python(STUBBORN))
        running = asyncio.create_task(gateway.run())
        while gateway.pid is None:
            await asyncio.sleep(0.005)
        pid = gateway.pid
        gateway.stop()
        await asyncio.wait_for(running, 10)
        assert not is_running(pid)

    asyncio.run(scenario())
