"""Tests of adapters in `tricorn.manager.pool.pool`, on real engine workers with the fake engine."""

from __future__ import annotations

import asyncio
import os
import queue
import shutil
from pathlib import Path
from typing import Any

from tests.manager.harness import Client, Manager, running, settings_for
from tests.manager.model_folders import put_adapter
from tests.model_facts.gguf_files import gguf

from tricorn.engines.request import SamplingParams
from tricorn.errors import ModelLoadFailed, ModelNotFound, UnsupportedParameter
from tricorn.manager.catalog.adapter_folder import WEIGHTS
from tricorn.manager.protocol.calls import Granted
from tricorn.settings.config import Settings
from tricorn.worker import protocol
from tricorn.worker.client import EngineClient

TAKES: dict[str, Any] = {"adapters": True}


def settings(folder: Path, *names: str, **models: dict[str, Any]) -> Settings:
    """The model `m` and others; `m` has adapters of these names, whether their folders are there
    or not."""
    made = settings_for(folder, models={"m": TAKES} | models)
    made.models["m"].adapters.update({name: folder / name for name in names})
    return made


async def scan(manager: Manager) -> None:
    """What the manager does every few seconds, now and to its end."""
    client = manager.client()
    await client.refusal("nothing")


async def said(lease: Granted) -> str:
    """The engine's answer to a request with what the lease says."""

    def ask() -> str:
        client = EngineClient(lease.address, lease.secret)
        inbox: queue.SimpleQueue[object] = queue.SimpleQueue()
        client.start(
            request_id="r",
            prompt=protocol.TextPrompt("hi"),
            sampling=SamplingParams(),
            inbox=inbox,
            adapter=lease.adapter,
        )
        text = ""
        while not isinstance(event := inbox.get(timeout=15), protocol.Finished):
            assert not isinstance(event, protocol.Failed), event
            text += event.delta.text if isinstance(event, protocol.Delta) else ""
        client.close()
        return text

    return await asyncio.to_thread(ask)


async def once(client: Client, model: str) -> str:
    """The answer of one request from its lease to its end."""
    lease = await client.lease(model)
    text = await said(lease)
    client.give_back(lease)
    return text


def test_base_and_adapters_share_a_process(folder: Path) -> None:
    """Leases for a model and its adapters are of one replica; each names its adapter."""
    put_adapter(folder / "a")
    put_adapter(folder / "b")

    async def scenario() -> None:
        async with running(settings(folder, "a", "b")) as manager:
            client = manager.client()
            calls = [client.ask(model) for model in ("m:a", "m", "m:b")]
            leases = [await client.outcome(call) for call in calls]
            assert [lease.model_id for lease in leases] == ["m:a", "m", "m:b"]
            assert [lease.adapter and lease.adapter.name for lease in leases] == ["a", None, "b"]
            assert [await said(lease) for lease in leases] == ["a#1 hi", "hi", "b#2 hi"]
            assert len(manager.started) == 1

    asyncio.run(scenario())


def test_adapters_are_listed(folder: Path) -> None:
    """Each as a model with its parent, and with its parent's state."""
    put_adapter(folder / "a", rank=4)

    async def scenario() -> None:
        async with running(settings(folder, "a", "gone")) as manager:
            base, adapter, gone = manager.pool.models()
            assert (base.id, base.parent) == ("m", None)
            assert (adapter.id, adapter.parent, adapter.format) == ("m:a", "m", "lora")
            assert adapter.size_bytes > 0
            assert (adapter.state, adapter.fault) == ("UNLOADED", None)
            assert (gone.id, "there is no folder" in (gone.fault or "")) == ("m:gone", True)
            client = manager.client()
            await client.lease("m:a")
            assert manager.pool.models()[1].state == "READY"
            assert isinstance(await client.refusal("m:gone"), ModelLoadFailed)
            assert "there are: m, m:a" in (await client.refusal("m:x")).message

    asyncio.run(scenario())


def test_a_model_of_that_very_name_goes_first(folder: Path) -> None:
    """`m:a` is the model of this id where there is one, and not the adapter."""
    put_adapter(folder / "a")

    async def scenario() -> None:
        async with running(settings(folder, "a", **{"m:a": {}})) as manager:
            lease = await manager.client().lease("m:a")
            assert (lease.model_id, lease.adapter) == ("m:a", None)
            assert manager.started[0].spec.id == "m:a"
            assert [info.id for info in manager.pool.models()] == ["m", "m:a"]

    asyncio.run(scenario())


def test_the_first_adapter_of_a_loaded_model(folder: Path) -> None:
    """What was loaded without adapters finishes its requests, and is loaded anew for them."""

    async def scenario() -> None:
        async with running(settings(folder, "a")) as manager:
            client = manager.client()
            held = await client.lease("m")
            put_adapter(folder / "a")
            await scan(manager)
            adapted = client.ask("m:a")
            await manager.until(lambda: manager.state("m") == "DRAINING")
            later = client.ask("m")
            assert not client.answers[adapted].done()
            client.give_back(held)
            assert await said(await client.outcome(adapted)) == "a#1 hi"
            assert (await client.outcome(later)).adapter is None
            assert len(manager.started) == 2

    asyncio.run(scenario())


def test_a_larger_rank_needs_a_load_of_its_own(folder: Path) -> None:
    """One of a smaller rank joins while the model serves, one of a larger rank does not."""
    put_adapter(folder / "a", rank=8)

    async def scenario() -> None:
        async with running(settings(folder, "a", "small", "large")) as manager:
            client = manager.client()
            await once(client, "m:a")
            put_adapter(folder / "small", rank=4)
            put_adapter(folder / "large", rank=16)
            await scan(manager)
            await once(client, "m:small")
            assert len(manager.started) == 1
            await once(client, "m:large")
            assert len(manager.started) == 2

    asyncio.run(scenario())


def test_an_engine_that_takes_none(folder: Path) -> None:
    """It is refused as the request's fault, by its field, and the model stays loaded."""
    put_adapter(folder / "a")

    async def scenario() -> None:
        options = settings(folder)
        options.models["m"].adapters.update({"a": folder / "a"})
        options.models["m"].engine_args["adapters"] = False
        async with running(options) as manager:
            client = manager.client()
            refusal = await client.refusal("m:a")
            assert isinstance(refusal, UnsupportedParameter)
            assert refusal.param == "model"
            await client.lease("m")
            assert len(manager.started) == 1

    asyncio.run(scenario())


def test_an_engine_that_never_takes_any(folder: Path) -> None:
    """A GGUF model is not even loaded for it."""
    (folder / "models").mkdir()
    (folder / "models/g.gguf").write_bytes(gguf())
    put_adapter(folder / "models/g/adapters/a")

    async def scenario() -> None:
        async with running(settings(folder)) as manager:
            refusal = await manager.client().refusal("g:a")
            assert isinstance(refusal, UnsupportedParameter)
            assert "need the vLLM engine" in refusal.message
            assert manager.started == []
            (listed,) = [info for info in manager.pool.models() if info.id == "g:a"]
            assert "need the vLLM engine" in (listed.fault or "")

    asyncio.run(scenario())


def test_changed_and_removed_adapters(folder: Path) -> None:
    """New files are used from the next scan on, removed ones are not found and leave the engine."""
    put_adapter(folder / "a")

    async def scenario() -> None:
        async with running(settings(folder, "a")) as manager:
            client = manager.client()
            assert await once(client, "m:a") == "a#1 hi"
            before = (folder / "a" / WEIGHTS).stat()
            os.utime(folder / "a" / WEIGHTS, (7, 7))
            await scan(manager)
            assert await once(client, "m:a") == "a#2 hi"
            # The same files as at first: the engine has forgotten them.
            os.utime(folder / "a" / WEIGHTS, ns=(before.st_atime_ns, before.st_mtime_ns))
            await scan(manager)
            assert await once(client, "m:a") == "a#3 hi"
            shutil.rmtree(folder / "a")
            await scan(manager)
            assert isinstance(await client.refusal("m:a"), ModelLoadFailed)
            del manager.settings.models["m"].adapters["a"]
            await scan(manager)
            assert isinstance(await client.refusal("m:a"), ModelNotFound)
            assert len(manager.started) == 1

    asyncio.run(scenario())


def test_an_adapter_that_goes_while_its_model_loads(folder: Path) -> None:
    """Who waited for it is told, and others are served."""
    put_adapter(folder / "a")

    async def scenario() -> None:
        options = settings(folder, "a")
        options.models["m"].engine_args["load_delay_s"] = 0.5
        async with running(options) as manager:
            client = manager.client()
            adapted, plain = client.ask("m:a"), client.ask("m")
            del manager.settings.models["m"].adapters["a"]
            await scan(manager)
            assert (await client.outcome(plain)).adapter is None
            message = await client.answers[adapted]
            assert not isinstance(message, Granted)
            assert message.error.code == "model_not_found"

    asyncio.run(scenario())


def test_a_waiting_request_can_be_withdrawn(folder: Path) -> None:
    """One for an adapter leaves its model's queue."""
    put_adapter(folder / "a")

    async def scenario() -> None:
        async with running(settings(folder, "a")) as manager:
            client = manager.client()
            call = client.ask("m:a")
            served = manager.pool.model("m")
            assert served is not None
            assert len(served.waiting) == 1
            manager.pool.withdraw(client, call)
            assert not served.waiting

    asyncio.run(scenario())
