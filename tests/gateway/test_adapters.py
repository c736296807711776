"""LoRA adapters: their way from the lease to the engine, and how clients see them."""

from __future__ import annotations

import queue
from collections.abc import Callable

import pytest
from flask import Flask
from tests.gateway.conftest import sdk_for
from tests.gateway.engines import SECRET, FakeManager, ScriptedWorker

from tricorn.engines.request import SamplingParams
from tricorn.engines.spec import Adapter
from tricorn.gateway.requests.generation import Generation, Job, Leased
from tricorn.gateway.services import EXTENSION
from tricorn.manager.protocol.calls import Granted
from tricorn.manager.protocol.model_info import ModelInfo
from tricorn.manager.protocol.news import Snapshot
from tricorn.worker.protocol import TextPrompt

ADAPTER = Adapter("a", "/adapters/a", 8, 5)
TWO = Job("m:a", "req_1", [TextPrompt("a"), TextPrompt("b")], SamplingParams())
WAIT_S = 5.0


class Manager(FakeManager):
    """Knows `m` and its adapter `a`; both are served by the scripted worker."""

    def __init__(self, worker: ScriptedWorker) -> None:
        super().__init__({"m": {}, "m:a": {}})
        self._worker = worker

    def grant(self, model: str, inbox: queue.SimpleQueue[object], call: int) -> None:
        self._leases[call] = model
        adapter = ADAPTER if model == "m:a" else None
        worker = self._worker
        inbox.put(Granted(call, call, worker.address, SECRET, model, worker.model, adapter=adapter))

    def release(self, lease: int, *, lost: bool = False, **tokens: int) -> None:
        self.released.append((self._leases.pop(lease), lost))

    def snapshot(self) -> Snapshot:
        base = ModelInfo("m", 1, "vllm", "a test", "hf", 7, "READY")
        adapter = ModelInfo("m:a", 2, "vllm", "a test", "lora", 3, "READY", parent="m")
        return Snapshot(1, [base, adapter], True, "all well")


@pytest.fixture
def app(make_app: Callable[..., Flask], scripted: ScriptedWorker) -> Flask:
    return make_app(Manager(scripted))


def test_the_engine_gets_the_adapter(app: Flask, scripted: ScriptedWorker) -> None:
    """Each prompt's start carries that of the lease, also when it is tried again."""
    services = app.extensions[EXTENSION]
    generation = Generation(services, TWO)
    leased = generation.next(WAIT_S)
    assert isinstance(leased, Leased)
    assert leased.model_id == "m:a"
    assert [scripted.started().adapter for _ in TWO.prompts] == [ADAPTER, ADAPTER]
    scripted.hang_up()
    generation.next(WAIT_S)
    assert [scripted.started().adapter for _ in TWO.prompts] == [ADAPTER, ADAPTER]
    generation.close()
    services.engines.close()


def test_a_request_for_the_base_has_none(app: Flask, scripted: ScriptedWorker) -> None:
    """Both go to one engine and differ by it alone."""
    services = app.extensions[EXTENSION]
    generation = Generation(services, Job("m", "req_1", [TextPrompt("a")], SamplingParams()))
    generation.next(WAIT_S)
    assert scripted.started().adapter is None
    generation.close()
    services.engines.close()


def test_listed_with_their_parent(app: Flask) -> None:
    """An adapter is a model with a parent; a colon in its id is no obstacle."""
    with sdk_for(app) as sdk:
        base, adapter = sdk.models.list().data
        assert (base.id, base.root, base.parent) == ("m", "m", None)  # type: ignore[attr-defined]
        assert adapter == sdk.models.retrieve("m:a")
        assert (adapter.root, adapter.parent) == ("m", "m")  # type: ignore[attr-defined]
        assert adapter.created == 2
        assert adapter.tricorn["format"] == "lora"  # type: ignore[attr-defined]
