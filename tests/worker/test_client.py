"""The gateway's connection to an engine worker."""

from __future__ import annotations

import queue
from collections.abc import Iterator

import pytest
from tests.gateway.engines import ScriptedWorker

from tricorn.engines.request import SamplingParams, TokenDelta
from tricorn.errors import EngineLost
from tricorn.worker.client import EngineClient, EnginePool
from tricorn.worker.protocol import Delta, Failed, Finished, Started, TextPrompt

Inbox = queue.SimpleQueue[object]


@pytest.fixture
def worker() -> Iterator[ScriptedWorker]:
    scripted = ScriptedWorker()
    yield scripted
    scripted.close()


@pytest.fixture
def client(worker: ScriptedWorker) -> Iterator[EngineClient]:
    connected = EngineClient(worker.address, "s")
    yield connected
    connected.close()


def start(client: EngineClient, inbox: Inbox) -> int:
    return client.start(
        request_id="r", prompt=TextPrompt("x"), sampling=SamplingParams(), inbox=inbox
    )


def test_events_reach_their_request(client: EngineClient, worker: ScriptedWorker) -> None:
    """Two requests on one connection hear only of themselves, in order."""
    one: Inbox = queue.SimpleQueue()
    two: Inbox = queue.SimpleQueue()
    first, second = start(client, one), start(client, two)
    assert [worker.started().id, worker.started().id] == [first, second]
    delta = TokenDelta(0, "x", [1])
    worker.send(Started(first, 1), Started(second, 2), Delta(first, delta), Finished(second))
    assert one.get(timeout=5) == Started(first, 1)
    assert one.get(timeout=5) == Delta(first, delta)
    assert two.get(timeout=5) == Started(second, 2)
    assert two.get(timeout=5) == Finished(second)


def test_cancel(client: EngineClient, worker: ScriptedWorker) -> None:
    """A cancelled request gives no more events; cancelling an ended one sends nothing."""
    inbox: Inbox = queue.SimpleQueue()
    first = start(client, inbox)
    worker.started()
    client.cancel(first)
    client.cancel(first)
    assert worker.cancelled() == first
    second = start(client, inbox)
    assert worker.started().id == second
    worker.send(Started(first, 1), Finished(second))
    assert inbox.get(timeout=5) == Finished(second)
    client.cancel(second)
    third = start(client, inbox)
    assert worker.started().id == third


def test_a_lost_connection_fails_what_it_carried(
    client: EngineClient, worker: ScriptedWorker
) -> None:
    """Each request hears EngineLost once, and no new one can start."""
    inbox: Inbox = queue.SimpleQueue()
    numbers = {start(client, inbox), start(client, inbox)}
    worker.started()
    worker.started()
    worker.hang_up()
    failed = [inbox.get(timeout=5), inbox.get(timeout=5)]
    assert {event.id for event in failed if isinstance(event, Failed)} == numbers
    assert {event.error.code for event in failed if isinstance(event, Failed)} == {"engine_lost"}
    with pytest.raises(EngineLost):
        start(client, inbox)


def test_garbage_loses_the_connection(client: EngineClient, worker: ScriptedWorker) -> None:
    """A worker that breaks the protocol is treated as lost."""
    inbox: Inbox = queue.SimpleQueue()
    number = start(client, inbox)
    worker.started()
    worker._connections[-1].sendall(b"HTTP/1.1 400 Bad Request\r\n")
    event = inbox.get(timeout=5)
    assert isinstance(event, Failed)
    assert event.id == number


def test_the_pool_keeps_one_connection(worker: ScriptedWorker) -> None:
    """One an address, made anew after it was lost; nobody listening is EngineLost."""
    pool = EnginePool()
    client = pool.client(worker.address, "s")
    assert pool.client(worker.address, "s") is client
    client.close()
    assert pool.client(worker.address, "s") is not client
    pool.close()
    with pytest.raises(EngineLost):
        pool.client(worker.address + ".not", "s")


def test_diverted_deltas(client: EngineClient, worker: ScriptedWorker) -> None:
    """They go to the taker as long as it takes them, and all else to the inbox; once a request has
    ended, in whichever way, nothing of its taker is kept."""
    inbox: Inbox = queue.SimpleQueue()
    number = start(client, inbox)
    worker.started()
    taken: list[str] = []

    def take(delta: Delta) -> bool:
        if delta.delta.text != "b":
            taken.append(delta.delta.text)
        return delta.delta.text != "b"

    client.divert(number, take)
    for text in "abc":
        worker.send(Delta(number, TokenDelta(0, text, [1])))
    worker.send(Finished(number))
    first, last = inbox.get(timeout=5), inbox.get(timeout=5)
    assert isinstance(first, Delta)
    assert first.delta.text == "b"
    assert last == Finished(number)
    assert taken == ["a", "c"]
    client.divert(number, take)  # its end was read before its handler had the time to
    other = start(client, inbox)
    client.divert(other, take)
    client.cancel(other)
    assert client._takers == {}
