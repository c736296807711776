"""A request with one answer, against a worker that says what the test wants."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from tests.gateway.engines import ScriptedWorker
from tests.gateway.one_worker import OneWorker

from tricorn.engines.spec import EngineCapabilities, LoadedModel
from tricorn.errors import EngineLost, InvalidRequest, UnsupportedParameter
from tricorn.gateway.requests.abilities import must_embed
from tricorn.gateway.requests.call import Ask, Call
from tricorn.gateway.services import EXTENSION, Services
from tricorn.worker.protocol import Detokenize, Detokenized, Embed, Failed, Finished, Vectors

WAIT_S = 5.0
ASK = Ask("m", "req_1", lambda number: Embed(number, "req_1", []), must_embed)


@pytest.fixture
def manager(scripted: ScriptedWorker, monkeypatch: pytest.MonkeyPatch) -> OneWorker:
    facts = LoadedModel(64, 257, 1, EngineCapabilities(generate=False, embed=True))
    monkeypatch.setattr(ScriptedWorker, "model", facts)
    return OneWorker(scripted)


@pytest.fixture
def services(make_app: Callable[..., Flask], manager: OneWorker) -> Iterator[Services]:
    services: Services = make_app(manager).extensions[EXTENSION]
    yield services
    services.engines.close()


def asked(scripted: ScriptedWorker) -> Any:
    return scripted.ops.get(timeout=WAIT_S)


def test_parts_become_one_answer(
    services: Services, scripted: ScriptedWorker, manager: OneWorker
) -> None:
    """In their order, once all are there; and the lease is given back before anyone closes."""
    call = Call(services, ASK)
    op = asked_after(call, scripted)
    parts = [Vectors(op.id, [b"1"], 2), Vectors(op.id, [b"2"], 3)]
    scripted.send(parts[0])
    assert call.next(0.05) is None
    scripted.send(parts[1], Finished(op.id))
    answer = call.next(WAIT_S)
    assert answer is not None
    assert answer.parts == parts
    assert not answer.retried
    assert manager.released == [("m", False)]
    call.close()
    assert manager.released == [("m", False)]


def asked_after(call: Call, scripted: ScriptedWorker) -> Any:
    """The engine's op; it is sent while the call waits."""
    assert call.next(0.05) is None
    return asked(scripted)


def test_a_lost_engine_is_tried_once_more(
    services: Services, scripted: ScriptedWorker, manager: OneWorker
) -> None:
    """What the lost one gave is void."""
    call = Call(services, ASK)
    first = asked_after(call, scripted)
    scripted.send(Vectors(first.id, [b"old"], 1))
    assert call.next(0.05) is None
    scripted.hang_up()
    second = asked_after(call, scripted)
    new = Vectors(second.id, [b"new"], 1)
    scripted.send(Vectors(first.id, [b"late"], 1), new, Finished(second.id))
    answer = call.next(WAIT_S)
    assert answer is not None
    assert (answer.parts, answer.retried) == ([new], True)
    assert manager.released == [("m", True), ("m", False)]


def test_a_second_loss_is_an_error(services: Services, scripted: ScriptedWorker) -> None:
    """Nothing is tried for ever."""
    call = Call(services, ASK)
    asked_after(call, scripted)
    scripted.hang_up()
    asked_after(call, scripted)
    scripted.hang_up()
    with pytest.raises(EngineLost):
        call.next(WAIT_S)


def test_closing_cancels(services: Services, scripted: ScriptedWorker, manager: OneWorker) -> None:
    """A client that leaves ends the engine's work."""
    call = Call(services, ASK)
    op = asked_after(call, scripted)
    call.close()
    assert scripted.cancelled() == op.id
    assert manager.released == [("m", False)]


def test_errors_are_the_requests(services: Services, scripted: ScriptedWorker) -> None:
    """With their param."""
    call = Call(services, ASK)
    op = asked_after(call, scripted)
    scripted.send(Failed(op.id, InvalidRequest("no", param="input[1]").info()))
    with pytest.raises(InvalidRequest) as caught:
        call.next(WAIT_S)
    assert caught.value.param == "input[1]"
    call.close()


def test_a_model_that_cannot_is_not_asked(
    services: Services,
    scripted: ScriptedWorker,
    manager: OneWorker,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The engine hears nothing, and the lease is given back."""
    monkeypatch.setattr(ScriptedWorker, "model", LoadedModel(64, 257, 1, EngineCapabilities()))
    call = Call(services, ASK)
    with pytest.raises(UnsupportedParameter, match="makes no embeddings"):
        call.next(WAIT_S)
    call.close()
    assert manager.released == [("m", False)]
    with pytest.raises(queue.Empty):
        scripted.ops.get_nowait()


def test_without_a_check_any_model_is_asked(services: Services, scripted: ScriptedWorker) -> None:
    """Every model has a tokenizer."""
    call = Call(services, Ask("m", "r", lambda number: Detokenize(number, "r", [1])))
    op = asked_after(call, scripted)
    scripted.send(Detokenized(op.id, "x"), Finished(op.id))
    answer = call.next(WAIT_S)
    assert answer is not None
    assert answer.parts == [Detokenized(op.id, "x")]
