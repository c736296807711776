"""Tests of `tricorn.manager.lifecycle.systemd`: what a unit of Type=notify is told."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psutil
import pytest
from tests.manager.harness import WAIT_S
from tests.manager.served import Served

from tricorn.manager.lifecycle.systemd import Systemd

pytestmark = pytest.mark.skipif(os.name != "posix", reason="unix sockets")

Told = dict[str, str]


class Listener:
    """What systemd's end of the socket hears."""

    def __init__(self, address: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(address)
        self._socket.settimeout(WAIT_S)

    def next(self) -> Told:
        """The next message, as its variables; TimeoutError where none comes."""
        lines = self._socket.recv(4096).decode().splitlines()
        return dict(line.split("=", 1) for line in lines)

    def next_but_pings(self) -> Told:
        while "WATCHDOG" in (told := self.next()):
            pass
        return told

    def is_quiet(self) -> bool:
        self._socket.setblocking(False)
        try:
            self._socket.recv(4096)
        except BlockingIOError:
            return True
        return False

    def close(self) -> None:
        self._socket.close()


@contextmanager
def listening(folder: Path) -> Iterator[tuple[Listener, str]]:
    address = str(folder / "notify")
    with closing(Listener(address)) as listener:
        yield listener, address


def test_messages_of_a_life(folder: Path) -> None:
    """Ready, read again and stopping, each in systemd's words; a status has one line."""
    with listening(folder) as (listener, address):
        systemd = Systemd(address)
        systemd.ready("Serving\nat home")
        assert listener.next() == {"READY": "1", "STATUS": "Serving at home"}
        before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        with systemd.reloading():
            told = listener.next()
            assert told.pop("RELOADING") == "1"
            assert int(told.pop("MONOTONIC_USEC")) >= before
            assert not told
        assert listener.next() == {"READY": "1"}
        systemd.stopping(1.5)
        told = listener.next()
        assert (told["STOPPING"], told["EXTEND_TIMEOUT_USEC"]) == ("1", "1500000")


def test_reload_does_not_make_ready(folder: Path) -> None:
    """Settings that are read while Tricorn starts or stops say nothing of whether it is up."""
    with listening(folder) as (listener, address):
        systemd = Systemd(address)
        with systemd.reloading():
            pass
        assert listener.is_quiet()
        systemd.stopping(0)
        listener.next()
        with systemd.reloading():
            pass
        assert listener.is_quiet()


@pytest.mark.skipif(sys.platform != "linux", reason="abstract sockets")
def test_abstract_socket() -> None:
    """An address with @ is one that has no file."""
    name = f"tricorn-{secrets.token_hex(8)}"
    with closing(Listener(f"\0{name}")) as listener:
        Systemd(f"@{name}").status("up")
        assert listener.next() == {"STATUS": "up"}


def test_environment_is_taken(folder: Path) -> None:
    """Children do not inherit the socket; a watchdog that is meant for another process is not
    ours."""
    with listening(folder) as (listener, address):
        wanted = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "20000"}
        environ = wanted | {"WATCHDOG_PID": str(os.getpid()), "HOME": "/"}
        systemd = Systemd.from_environment(environ)
        assert environ == {"HOME": "/"}

        async def watched() -> None:
            task = asyncio.create_task(systemd.watch())
            for _ in range(3):
                assert await asyncio.to_thread(listener.next) == {"WATCHDOG": "1"}
            task.cancel()

        asyncio.run(watched())
        for others in ({"WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "0"}, {"WATCHDOG_USEC": "x"}):
            asyncio.run(asyncio.wait_for(Systemd.from_environment(wanted | others).watch(), WAIT_S))


def test_nobody_listens(folder: Path) -> None:
    """Without the variable nothing is done, and a socket that has gone hurts nobody."""
    for systemd in (Systemd.from_environment({}), Systemd(str(folder / "gone"))):
        systemd.status("up")
        systemd.ready("up")
        with systemd.reloading():
            pass
        systemd.stopping(1)
    asyncio.run(asyncio.wait_for(Systemd(None).watch(), WAIT_S))


def test_served(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The manager is ready once its model is, reloads on SIGHUP, pings, and says when it stops;
    its processes do not know of the socket."""
    with listening(folder) as (listener, address):
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        monkeypatch.setenv("WATCHDOG_USEC", "100000")
        with closing(Served(folder, {"m": {}}, drain_timeout_s=5)) as served:
            assert listener.next_but_pings() == {"STATUS": "Loading the model m"}
            told = listener.next_but_pings()
            assert (told["READY"], told["STATUS"][:14]) == ("1", "Serving at htt")
            while "WATCHDOG" not in listener.next():
                pass
            assert served.client.wait_connected(WAIT_S)
            for child in psutil.Process(served.process.pid).children(recursive=True):
                assert "NOTIFY_SOCKET" not in child.environ()
            served.process.send_signal(signal.SIGHUP)
            assert listener.next_but_pings()["RELOADING"] == "1"
            assert listener.next_but_pings() == {"READY": "1"}
            served.process.terminate()
            told = listener.next_but_pings()
            assert told["STOPPING"] == "1"
            assert int(told["EXTEND_TIMEOUT_USEC"]) >= 5_000_000
            assert served.process.wait(WAIT_S) == 0
