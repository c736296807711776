"""Tests of `tricorn.manager.client` and `control`, over real sockets, with real threads."""

from __future__ import annotations

import math
import os
import queue
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.leases import answer
from tests.manager.harness import WAIT_S, Manager, running_in_thread, settings_for
from tests.polling import wait_until

from tricorn import logs
from tricorn.access.terms import Allowance
from tricorn.errors import ManagerUnavailable, ModelNotFound, Overloaded, RateLimitExceeded
from tricorn.manager import control
from tricorn.manager.client import ManagerClient
from tricorn.manager.protocol import messages
from tricorn.manager.protocol.calls import Acquire, Claim, Granted, Progress, Told
from tricorn.manager.protocol.messages import Hello
from tricorn.manager.protocol.news import Event, Snapshot
from tricorn.manager.protocol.usage import Usage
from tricorn.manager.protocol.worker import Loading
from tricorn.manager.run_directory import RunDirectory
from tricorn.wire import FrameReader, connect, pack


@pytest.fixture(params=["unix", "tcp"])
def manager(request: pytest.FixtureRequest, folder: Path) -> Iterator[Manager]:
    """A manager with two fake models, on each transport."""
    if request.param == "unix" and os.name != "posix":
        pytest.skip("no unix sockets here")
    models: dict[str, Any] = {"a": {}, "slow": {"load_delay_s": 60}}
    settings = settings_for(folder, models=models, transport=request.param)
    with running_in_thread(settings) as found:
        yield found


@pytest.fixture
def client(manager: Manager) -> Iterator[ManagerClient]:
    """A client that is connected."""
    found = ManagerClient(manager.settings.runtime_dir())
    found.start()
    assert found.wait_connected(WAIT_S)
    yield found
    found.close()


def lease(client: ManagerClient, model: str = "a") -> Granted:
    inbox: queue.SimpleQueue[object] = queue.SimpleQueue()
    client.acquire(model, "r", inbox)
    granted = answer(inbox, WAIT_S)
    assert isinstance(granted, Granted)
    return granted


def leases(manager: Manager) -> int:
    return manager.pool.lease_count()


def test_lease_and_release(manager: Manager, client: ManagerClient) -> None:
    """A lease names the replica's address, and is back after its release."""
    granted = lease(client)
    assert granted.model_id == "a"
    assert granted.address.startswith(("unix:", "tcp:"))
    assert leases(manager) == 1
    client.release(granted.lease)
    client.release(granted.lease)
    wait_until(lambda: leases(manager) == 0)


def test_what_is_said_with_a_call_and_told_while_it_waits(
    manager: Manager, client: ManagerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Key, prefix and keep_alive reach the pool; progress reaches who waits, and nobody else."""
    heard: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def acquire(holder: Any, number: int, model: str, request_id: str, **said: Any) -> None:
        heard.put((number, model, request_id, said))
        holder.answer(Progress(number + 1, "of a call that nobody has made"))
        holder.answer(Progress(number, "loading a", 0.5, 2.0))

    monkeypatch.setattr(manager.pool, "acquire", acquire)
    inbox: queue.SimpleQueue[object] = queue.SimpleQueue()
    said = {"key": "k", "prefix": (1, 2**63 - 1), "keep_alive_s": math.inf}
    call = client.acquire("a", "r", inbox, **said)
    assert heard.get(timeout=WAIT_S) == (call, "a", "r", said | {"weight": 1.0})
    assert inbox.get(timeout=WAIT_S) == Progress(call, "loading a", 0.5, 2.0)
    client.acquire("a", "r", queue.SimpleQueue())
    nothing = {"key": "", "prefix": (), "keep_alive_s": None, "weight": 1.0}
    assert heard.get(timeout=WAIT_S)[-1] == nothing


def test_limits_of_a_key_over_two_gateways(manager: Manager, client: ManagerClient) -> None:
    """What one has used the other has not; the tokens that were given back with a lease can be
    used again."""
    claim = Claim("k", Allowance(tokens_per_minute=100), 100)
    second = ManagerClient(manager.settings.runtime_dir())
    second.start()
    assert second.wait_connected(WAIT_S)
    inbox: queue.SimpleQueue[object] = queue.SimpleQueue()
    try:
        client.acquire("a", "r", inbox, claim=claim)
        granted = answer(inbox, WAIT_S)
        assert isinstance(granted, Granted)
        assert granted.rate is not None
        assert granted.rate.limit_tokens == 100
        second.acquire("a", "r", inbox, claim=claim)
        refused = answer(inbox, WAIT_S)
        assert isinstance(refused, RateLimitExceeded)
        assert refused.rate is not None
        client.release(granted.lease, prompt_tokens=0, completion_tokens=0)
        wait_until(lambda: leases(manager) == 0)
        second.acquire("a", "r", inbox, claim=claim)
        assert isinstance(answer(inbox, WAIT_S), Granted)
    finally:
        second.close()


def test_refusal_is_an_error(client: ManagerClient) -> None:
    """A refusal arrives as the error that the manager meant."""
    inbox: queue.SimpleQueue[object] = queue.SimpleQueue()
    client.acquire("none", "r", inbox)
    refusal = answer(inbox, WAIT_S)
    assert isinstance(refusal, ModelNotFound)
    assert refusal.param == "model"


def test_withdraw_while_waiting(manager: Manager, client: ManagerClient) -> None:
    """A withdrawn call waits no longer, at the manager either."""
    inbox: queue.SimpleQueue[object] = queue.SimpleQueue()
    call = client.acquire("slow", "r", inbox)
    served = manager.pool.model("slow")
    assert served is not None
    wait_until(lambda: len(served.waiting) == 1)
    client.withdraw(call)
    wait_until(lambda: len(served.waiting) == 0)
    # Only of its wait it was told meanwhile.
    while not inbox.empty():
        assert isinstance(inbox.get(), Progress)


def test_withdraw_after_the_grant(manager: Manager, client: ManagerClient) -> None:
    """A lease that was granted to a call withdrawn later is given back by the client."""
    inbox: queue.SimpleQueue[object] = queue.SimpleQueue()
    call = client.acquire("a", "r", inbox)
    assert isinstance(answer(inbox, WAIT_S), Granted)
    client.withdraw(call)
    wait_until(lambda: leases(manager) == 0)


def test_lost_connection_gives_all_back(manager: Manager, client: ManagerClient) -> None:
    """When a gateway's connection ends, its leases and waiting calls end at the manager."""
    lease(client)
    client.acquire("slow", "r", queue.SimpleQueue())
    client.close()
    wait_until(lambda: leases(manager) == 0)
    served = manager.pool.model("slow")
    assert served is not None
    wait_until(lambda: not served.waiting)


def test_snapshots_are_pushed(client: ManagerClient) -> None:
    """A model's change of state reaches the client by itself, with a higher version."""
    first = client.snapshot()
    assert first is not None
    assert [model.state for model in first.models] == ["UNLOADED", "UNLOADED"]
    lease(client)

    def is_ready() -> bool:
        now = client.snapshot()
        return now is not None and now.models[0].state == "READY" and now.version > first.version

    wait_until(is_ready)


def test_without_a_manager(tmp_path: Path) -> None:
    """Without a manager a call is answered at once: it is unavailable."""
    client = ManagerClient(tmp_path)
    client.start()
    inbox: queue.SimpleQueue[object] = queue.SimpleQueue()
    client.withdraw(client.acquire("a", "r", inbox))
    assert isinstance(answer(inbox, WAIT_S), ManagerUnavailable)
    assert client.snapshot() is None
    assert not client.wait_connected(0.01)
    client.close()


def test_reconnects_to_a_new_manager(folder: Path) -> None:
    """Waiting calls fail when the manager goes; the next manager is found, under its new secret."""
    settings = settings_for(folder, models={"a": {}, "slow": {"load_delay_s": 60}})
    client = ManagerClient(settings.runtime_dir())
    client.start()
    inbox: queue.SimpleQueue[object] = queue.SimpleQueue()
    with running_in_thread(settings):
        assert client.wait_connected(WAIT_S)
        old = lease(client)
        client.acquire("slow", "r", inbox)
    assert not isinstance(answer(inbox, WAIT_S), Granted)
    wait_until(lambda: client.snapshot() is None)
    with running_in_thread(settings) as manager:
        assert client.wait_connected(WAIT_S)
        lease(client)
        client.release(old.lease)  # of the manager before: not to be mistaken for a new one
        assert isinstance(lease(client), Granted)
        assert leases(manager) == 2
    client.close()


# --- what the server refuses ------------------------------------------------------------------


def is_cut_off(sock: socket.socket) -> bool:
    sock.settimeout(WAIT_S)
    try:
        return sock.recv(1) == b""
    except ConnectionResetError:
        return True


@pytest.mark.parametrize(
    "first",
    [
        messages.encode(Hello("gateway", 1, "wrong")),
        messages.encode(Hello("gateway", 1, "")),
        messages.encode(Acquire(1, "a", "r")),
        b"\xc1 no msgpack",
    ],
)
def test_stranger_is_refused(manager: Manager, first: bytes) -> None:
    """A wrong secret, another first message or nonsense end the connection unanswered."""
    sock = connect(manager.control.address, 5)
    sock.sendall(pack(first))
    assert is_cut_off(sock)
    sock.close()


def test_absurd_frame_is_refused(manager: Manager) -> None:
    """What does not speak this protocol is cut off at its first bytes."""
    sock = connect(manager.control.address, 5)
    sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
    assert is_cut_off(sock)
    sock.close()


def test_silent_stranger_is_cut_off(manager: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who says nothing is cut off at the deadline."""
    monkeypatch.setattr(control, "HELLO_DEADLINE_S", 0.05)
    sock = connect(manager.control.address, 5)
    assert is_cut_off(sock)
    sock.close()


def test_unknown_worker_is_refused(manager: Manager) -> None:
    """A worker of a replica that nobody started is refused."""
    sock = connect(manager.control.address, 5)
    hello = Hello("worker", 1, manager.control.secret, "replica-99")
    sock.sendall(pack(messages.encode(hello)))
    assert is_cut_off(sock)
    sock.close()


def test_gateway_may_not_speak_as_a_worker(manager: Manager) -> None:
    """A message that is not a gateway's ends its connection, after the greeting's snapshot."""
    sock = connect(manager.control.address, 5)
    sock.settimeout(WAIT_S)
    sock.sendall(pack(messages.encode(Hello("gateway", 1, manager.control.secret))))
    frames = FrameReader()
    first = frames.feed(sock.recv(65536))
    assert isinstance(messages.decode_manager(first[0]), Snapshot)
    sock.sendall(pack(messages.encode(Loading(0.5))))
    assert is_cut_off(sock)
    sock.close()


def test_control_file_without_a_listener(folder: Path) -> None:
    """A control file that a dead manager left does no more harm than none."""
    with RunDirectory.open(folder / "run") as run_dir:
        run_dir.write_control(f"unix:{folder}/none.sock", "s")
        client = ManagerClient(folder / "run")
        client.start()
        assert not client.wait_connected(0.2)
        client.close()


# --- orders and events ------------------------------------------------------------------------


def next_of(inbox: queue.SimpleQueue[object], kind: type) -> Any:
    """What comes next; it must be of that kind."""
    found = inbox.get(timeout=WAIT_S)
    assert isinstance(found, kind), found
    return found


def test_orders(manager: Manager, client: ManagerClient) -> None:
    """An answer, a refusal as the error that was meant, and an order that is withdrawn."""
    inbox: queue.SimpleQueue[object] = queue.SimpleQueue()
    call = client.order("load", {"model": "a"}, inbox)
    assert next_of(inbox, Progress).call == call
    told = next_of(inbox, Told)
    assert (told.call, told.result["state"]) == (call, "READY")
    client.order("status", {"model": "none"}, inbox)
    next_of(inbox, ModelNotFound)
    call = client.order("load", {"model": "slow"}, inbox)
    slow = manager.pool.model("slow")
    assert slow is not None
    wait_until(lambda: len(slow.waiting) == 1)
    client.withdraw(call)
    wait_until(lambda: len(slow.waiting) == 0)
    assert all(isinstance(one, Progress) for one in drained(inbox))


def drained(inbox: queue.SimpleQueue[object]) -> list[object]:
    return [inbox.get() for _ in range(inbox.qsize())]


def test_events_reach_those_who_listen(manager: Manager, client: ManagerClient) -> None:
    """All of them, in order; none after `unlisten`."""
    inbox: queue.SimpleQueue[object] = queue.SimpleQueue()
    deaf: queue.SimpleQueue[object] = queue.SimpleQueue()
    client.unlisten(client.listen(deaf))
    client.listen(inbox)
    lease(client)
    states = [next_of(inbox, Event).data["state"] for _ in range(2)]
    assert states == ["LOADING", "READY"]
    assert deaf.empty()


def test_a_listener_that_does_not_read(
    manager: Manager, client: ManagerClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Is told so and then of no more; the others are not held up."""
    monkeypatch.setattr("tricorn.manager.client.MAX_EVENTS_BEHIND", 1)
    inbox: queue.SimpleQueue[object] = queue.SimpleQueue()
    client.listen(inbox)
    lease(client)
    wait_until(lambda: inbox.qsize() == 2)
    next_of(inbox, Event)
    next_of(inbox, Overloaded)


def test_usage_is_summed(manager: Manager, client: ManagerClient) -> None:
    for _ in range(2):
        assert client.report(Usage(1, 0, 0.5, 3, 4))
    wait_until(lambda: manager.desk.usage.total == Usage(2, 0, 1.0, 6, 8))


def test_the_level_of_the_log_comes_from_the_manager(tmp_path: Path) -> None:
    """With each snapshot."""
    one, other = socket.socketpair()
    with one, other:
        snapshot = Snapshot(1, [], True, "well", log_level="ERROR")
        ManagerClient(tmp_path)._take(one, snapshot)
    assert logs.level() == "ERROR"


def test_orders_without_a_manager(tmp_path: Path) -> None:
    """Are answered at once: it is unavailable."""
    client, inbox = ManagerClient(tmp_path), queue.SimpleQueue[object]()
    client.order("status", {}, inbox)
    client.listen(inbox)
    next_of(inbox, ManagerUnavailable)
    next_of(inbox, ManagerUnavailable)
    assert not client.report(Usage(1, 0, 0.5, 3, 4))


def test_the_end_of_the_manager_ends_orders_and_listening(folder: Path) -> None:
    settings = settings_for(folder, models={"slow": {"load_delay_s": 60}})
    client = ManagerClient(settings.runtime_dir())
    client.start()
    orders: queue.SimpleQueue[object] = queue.SimpleQueue()
    events: queue.SimpleQueue[object] = queue.SimpleQueue()
    with running_in_thread(settings):
        assert client.wait_connected(WAIT_S)
        client.listen(events)
        client.order("load", {"model": "slow"}, orders)
        next_of(events, Event)
    assert not isinstance(orders.get(timeout=WAIT_S), Told)
    while isinstance(last := events.get(timeout=WAIT_S), Event):
        continue
    assert isinstance(last, ManagerUnavailable)
    client.close()
