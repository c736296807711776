"""Lease, start, events, retry and release, against a worker that says what the test wants."""

from __future__ import annotations

import queue
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from tests.gateway.engines import ScriptedWorker
from tests.gateway.one_worker import OneWorker

from tricorn.engines.request import SamplingParams, TokenDelta
from tricorn.errors import EngineGenerateError, EngineLost, InvalidRequest, ManagerUnavailable
from tricorn.gateway.answers.errors import ClientGone
from tricorn.gateway.requests.generation import Ended, Generation, Grown, Job, Leased, PromptTaken
from tricorn.gateway.services import EXTENSION, Services
from tricorn.worker.protocol import Delta, Failed, Finished, Started, TextPrompt

JOB = Job("m", "req_1", [TextPrompt("a")], SamplingParams())
TWO = Job("m", "req_1", [TextPrompt("a"), TextPrompt("b")], SamplingParams())
WAIT_S = 5.0
NO_SOCKET: Any = None
"""Nothing is written to it."""


@pytest.fixture
def manager(scripted: ScriptedWorker) -> OneWorker:
    return OneWorker(scripted)


@pytest.fixture
def services(make_app: Callable[..., Flask], manager: OneWorker) -> Iterator[Services]:
    services: Services = make_app(manager).extensions[EXTENSION]
    yield services
    services.engines.close()


def test_the_engine_hears_the_priority(services: Services, scripted: ScriptedWorker) -> None:
    """Each prompt's start carries its job's."""
    generation = Generation(services, replace(TWO, priority=-3))
    generation.next(WAIT_S)
    assert [scripted.started().priority for _ in TWO.prompts] == [-3, -3]
    generation.close()


def test_events_in_order(services: Services, scripted: ScriptedWorker, manager: OneWorker) -> None:
    """Lease, prompt, tokens, end; and the lease is given back before anyone closes."""
    generation = Generation(services, JOB)
    assert isinstance(generation.next(WAIT_S), Leased)
    start = scripted.started()
    delta = TokenDelta(0, "x", [1], "stop")
    scripted.send(Started(start.id, 7), Delta(start.id, delta), Finished(start.id))
    assert generation.next(WAIT_S) == PromptTaken(0, 7, None)
    assert generation.next(WAIT_S) == Grown(0, delta)
    assert generation.next(WAIT_S) == Ended()
    assert manager.released == [("m", False)]
    assert manager.taken == [(7, 1)]
    generation.close()
    assert manager.released == [("m", False)]


def test_tokens_of_the_fast_lane_count(
    services: Services, scripted: ScriptedWorker, manager: OneWorker
) -> None:
    """They never pass by here, and the key pays for them all the same."""
    generation = Generation(services, JOB)
    assert isinstance(generation.next(WAIT_S), Leased)
    start = scripted.started()
    scripted.send(Started(start.id, 7), Delta(start.id, TokenDelta(0, "x", [1])))
    assert generation.next(WAIT_S) == PromptTaken(0, 7, None)
    assert isinstance(generation.next(WAIT_S), Grown)
    taken: queue.SimpleQueue[int] = queue.SimpleQueue()

    def make(position: int, delta: TokenDelta) -> bytes:
        taken.put(len(delta.token_ids))
        return b""

    lane = generation.open_fast_lane(NO_SOCKET, make)
    assert lane is not None
    lane.open = True
    scripted.send(Delta(start.id, TokenDelta(0, "y", [2, 3])))
    assert taken.get(timeout=WAIT_S) == 2
    scripted.send(Finished(start.id))
    assert generation.next(WAIT_S) == Ended()
    assert manager.taken == [(7, 3)]
    generation.close()


def test_silence_is_none(services: Services) -> None:
    """Nothing within the time is None, and the request goes on."""
    generation = Generation(services, JOB)
    assert isinstance(generation.next(WAIT_S), Leased)
    assert generation.next(0.01) is None
    generation.close()


def test_closing_cancels(services: Services, scripted: ScriptedWorker, manager: OneWorker) -> None:
    """Every prompt that still runs is cancelled in the engine, and the lease given back."""
    generation = Generation(services, TWO)
    generation.next(WAIT_S)
    first, second = scripted.started(), scripted.started()
    generation.close()
    assert {scripted.cancelled(), scripted.cancelled()} == {first.id, second.id}
    assert manager.released == [("m", False)]


def test_closing_while_waiting_withdraws(services: Services, manager: OneWorker) -> None:
    """A request that leaves the manager's queue says so."""
    manager.held = queue.SimpleQueue()
    generation = Generation(services, JOB)
    assert generation.next(0.01) is None
    generation.close()
    assert manager.withdrawn == [1]
    assert manager.released == []


def test_one_retry(services: Services, scripted: ScriptedWorker, manager: OneWorker) -> None:
    """A lost engine is reported and the request started again; what came before is void."""
    generation = Generation(services, JOB)
    generation.next(WAIT_S)
    start = scripted.started()
    scripted.send(Started(start.id, 7))
    assert generation.next(WAIT_S) == PromptTaken(0, 7, None)
    scripted.hang_up()
    leased = generation.next(WAIT_S)
    assert isinstance(leased, Leased)
    assert leased.retried
    again = scripted.started()
    assert again.id != start.id
    scripted.send(Started(start.id, 9), Started(again.id, 7), Finished(again.id))
    assert generation.next(WAIT_S) == PromptTaken(0, 7, None)
    assert generation.next(WAIT_S) == Ended()
    assert manager.released == [("m", True), ("m", False)]
    assert manager.taken == [(0, 0), (7, 0)], "what nobody had is nobody's to pay"


def test_no_second_retry(services: Services, scripted: ScriptedWorker, manager: OneWorker) -> None:
    """A request that loses two engines fails."""
    generation = Generation(services, JOB)
    generation.next(WAIT_S)
    scripted.started()
    scripted.hang_up()
    assert isinstance(generation.next(WAIT_S), Leased)
    scripted.started()
    scripted.hang_up()
    with pytest.raises(EngineLost):
        generation.next(WAIT_S)
    assert manager.released == [("m", True), ("m", True)]


def test_no_retry_after_tokens_were_sent(services: Services, scripted: ScriptedWorker) -> None:
    """A client that has a part of an answer does not get another one's beginning."""
    generation = Generation(services, JOB)
    generation.next(WAIT_S)
    scripted.started()
    generation.committed = True
    scripted.hang_up()
    with pytest.raises(EngineLost):
        generation.next(WAIT_S)


def test_a_worker_that_is_not_there_is_lost(
    services: Services, scripted: ScriptedWorker, manager: OneWorker
) -> None:
    """Nobody listening counts as a lost engine: retried once, then an error."""
    scripted.close()
    generation = Generation(services, JOB)
    with pytest.raises(EngineLost):
        generation.next(WAIT_S)
    assert manager.released == [("m", True), ("m", True)]


def test_one_failed_prompt_ends_the_request(
    services: Services, scripted: ScriptedWorker, manager: OneWorker
) -> None:
    """An error of one prompt is the request's; the others are cancelled on close."""
    generation = Generation(services, TWO)
    generation.next(WAIT_S)
    first, second = scripted.started(), scripted.started()
    scripted.send(Failed(first.id, InvalidRequest("no", param="prompt").info()))
    with pytest.raises(InvalidRequest) as caught:
        generation.next(WAIT_S)
    assert caught.value.param == "prompt"
    generation.close()
    assert scripted.cancelled() == second.id
    assert manager.released == [("m", False)]


def test_an_engine_error_is_not_retried(services: Services, scripted: ScriptedWorker) -> None:
    """Only the loss of the process is: a healthy engine would fail again."""
    generation = Generation(services, JOB)
    generation.next(WAIT_S)
    scripted.send(Failed(scripted.started().id, EngineGenerateError("NaN").info()))
    with pytest.raises(EngineGenerateError, match="NaN"):
        generation.next(WAIT_S)
    generation.close()


def test_the_manager_refuses(services: Services, manager: OneWorker) -> None:
    """The manager's error is the request's."""
    manager.held = queue.SimpleQueue()
    generation = Generation(services, JOB)
    _, inbox, _ = manager.held.get(timeout=WAIT_S)
    inbox.put(ManagerUnavailable("gone"))
    with pytest.raises(ManagerUnavailable):
        generation.next(WAIT_S)
    generation.close()
    assert manager.withdrawn == []


def test_a_client_that_left_is_noticed_while_waiting(
    services: Services, manager: OneWorker
) -> None:
    """A closed connection ends the wait for a lease at once."""
    manager.held = queue.SimpleQueue()
    ours, theirs = socket.socketpair()
    generation = Generation(services, JOB, ours)
    threading.Timer(0.05, theirs.close).start()
    with pytest.raises(ClientGone):
        generation.next(WAIT_S)
    generation.close()
    ours.close()
    assert manager.withdrawn == [1]
