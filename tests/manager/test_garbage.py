"""The control socket under what a local process may send it: the manager goes on, and so do all
other connections."""

from __future__ import annotations

import contextlib
import logging
import queue
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests import garbage
from tests.leases import answer
from tests.manager.harness import WAIT_S, Manager, running_in_thread, settings_for
from tests.polling import wait_until

from tricorn.errors import ManagerUnavailable, TricornError
from tricorn.manager import control
from tricorn.manager.client import ManagerClient
from tricorn.manager.protocol import messages
from tricorn.manager.protocol.calls import Granted
from tricorn.manager.protocol.messages import Hello
from tricorn.manager.protocol.news import Snapshot
from tricorn.wire import HEADER, MAX_HELLO, connect, pack

QUICK = settings(
    deadline=None,
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(scope="module")
def manager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Manager]:
    folder = tmp_path_factory.mktemp("m")
    with running_in_thread(settings_for(folder, models={"a": {}}, transport="tcp")) as found:
        yield found


@pytest.fixture(scope="module")
def client(manager: Manager) -> Iterator[ManagerClient]:
    """A gateway that behaves, and has a lease all the time."""
    found = ManagerClient(manager.settings.runtime_dir())
    found.start()
    assert found.wait_connected(WAIT_S)
    lease(found)
    yield found
    found.close()


def lease(client: ManagerClient) -> Granted:
    inbox: queue.SimpleQueue[object] = queue.SimpleQueue()
    client.acquire("a", "r", inbox)
    granted = answer(inbox, WAIT_S)
    assert isinstance(granted, Granted), granted
    return granted


def ended(sock: socket.socket) -> None:
    """Say no more, and read until the other side says no more."""
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(65536):
            continue


@QUICK
@given(stream=garbage.streams(*garbage.CLIENT), known=st.booleans(), abrupt=st.booleans())
def test_a_local_process(
    manager: Manager,
    client: ManagerClient,
    caplog: pytest.LogCaptureFixture,
    stream: bytes,
    known: bool,
    abrupt: bool,
) -> None:
    """With the secret or without; what it had is free again, the others keep what they have."""
    caplog.clear()
    hello = Hello("gateway", 1, manager.control.secret)
    with caplog.at_level(logging.ERROR, "asyncio"):
        with connect(manager.control.address, WAIT_S) as sock:
            sock.settimeout(WAIT_S)
            with contextlib.suppress(OSError):
                sock.sendall(pack(messages.encode(hello)) * known + stream)
            if abrupt:
                linger = struct.pack("ii", 1, 0)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            else:
                ended(sock)
        assert client.wait_connected(0), "it has not lost its connection"
        client.release(lease(client).lease)
        wait_until(lambda: manager.pool.lease_count() == 1, WAIT_S)
    assert not [entry for entry in caplog.records if entry.name == "asyncio"]


def test_a_long_greeting(manager: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    """Is refused when its length is known: nothing of it is kept for a stranger."""
    monkeypatch.setattr(control, "HELLO_DEADLINE_S", 10 * WAIT_S)
    with connect(manager.control.address, WAIT_S) as sock:
        sock.settimeout(WAIT_S)
        sock.sendall(HEADER.pack(MAX_HELLO + 1))
        assert sock.recv(1) == b""


@pytest.mark.parametrize("payload", [garbage.NO_TEXT, garbage.NO_END, garbage.NO_ITEMS])
def test_a_manager_that_talks_nonsense(tmp_path: Path, payload: bytes) -> None:
    """A gateway tells those who wait, and connects again."""
    listener = socket.create_server(("127.0.0.1", 0))
    address = f"tcp:127.0.0.1:{listener.getsockname()[1]}"
    (tmp_path / "control.json").write_text(f'{{"address": "{address}", "secret": "s", "pid": 1}}')
    client = ManagerClient(tmp_path)
    client.start()
    try:
        for _ in range(2):
            listener.settimeout(WAIT_S)
            connection, _ = listener.accept()
            with connection:
                connection.sendall(pack(messages.encode(Snapshot(1, [], True, "well"))))
                assert client.wait_connected(WAIT_S)
                inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
                client.acquire("a", "r", inbox)
                connection.sendall(pack(payload))
                assert isinstance(inbox.get(timeout=WAIT_S), ManagerUnavailable)
    finally:
        client.close()
        listener.close()


def test_nothing_is_kept_of_calls_that_are_over(manager: Manager, client: ManagerClient) -> None:
    """However they ended: granted and given back, withdrawn before, between and after."""
    before = manager.pool.lease_count()
    for number in range(300):
        inbox: queue.SimpleQueue[object] = queue.SimpleQueue()
        call = client.acquire("a" if number % 5 else "not there", f"r{number}", inbox)
        if number % 3 == 0:
            client.withdraw(call)
        elif number % 3 == 1:
            arrived = answer(inbox, WAIT_S)
            if isinstance(arrived, Granted):
                client.release(arrived.lease)
            client.withdraw(arrived.call if isinstance(arrived, Granted) else call)
        else:
            arrived = answer(inbox, WAIT_S)
            assert isinstance(arrived, Granted | TricornError)
            client.withdraw(call)
    wait_until(lambda: manager.pool.lease_count() == before, WAIT_S)
    wait_until(lambda: not client._waiting, WAIT_S)
    assert len(client._granted) == before
