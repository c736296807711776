"""Tests of `manager.desk.model_orders`, over a real pool and workers."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.manager.customer import customer_of, on_loop
from tests.manager.harness import running, settings_for

from tricorn.errors import Conflict, InvalidRequest, ModelNotFound


@on_loop
async def test_load_and_unload(folder: Path) -> None:
    """A load answers when the model is there, an unload when it is gone."""
    async with running(settings_for(folder, models={"a": {}})) as manager:
        customer = customer_of(manager)
        loaded = await customer.order("load", model="a")
        assert (loaded["id"], loaded["state"], loaded["leases"]) == ("a", "READY", 0)
        assert manager.pool.lease_count() == 0
        assert (await customer.order("unload", model="a"))["state"] == "UNLOADED"
        assert manager.state("a") == "UNLOADED"
        assert (await customer.order("status", model="a"))["state"] == "UNLOADED"


@on_loop
async def test_load_without_waiting(folder: Path) -> None:
    """Answered at once; it goes on."""
    async with running(settings_for(folder, models={"a": {"load_delay_s": 0.2}})) as manager:
        status = await customer_of(manager).order("load", model="a", wait=False)
        assert status["state"] in ("UNLOADED", "LOADING")
        await manager.until(lambda: manager.state("a") == "READY")


@on_loop
async def test_a_failed_load_tells_why(folder: Path) -> None:
    """With the engine's own reason; retry clears the pause after it."""
    models = {"a": {"load_error": "no such weights"}}
    async with running(settings_for(folder, models=models)) as manager:
        customer = customer_of(manager)
        error = await customer.refusal("load", model="a")
        assert "no such weights" in error.message
        assert (await customer.order("status", model="a"))["state"] == "FAILED"
        assert (await customer.order("retry", model="a"))["state"] == "UNLOADED"


@pytest.mark.parametrize("command", ["load", "unload", "status", "retry"])
@on_loop
async def test_unknown_models(folder: Path, command: str) -> None:
    """Named with those that there are."""
    async with running(settings_for(folder, models={"a": {}})) as manager:
        error = await customer_of(manager).refusal(command, model="b")
        assert isinstance(error, ModelNotFound)
        assert "there are: a" in error.message


@on_loop
async def test_options_of_a_load_make_an_entry(folder: Path) -> None:
    """A name that nobody knew is served by the engine that the load names, and is listed."""
    async with running(settings_for(folder)) as manager:
        customer = customer_of(manager)
        settings = {"engine": "fake", "context_length": 64, "ttl": "never"}
        status = await customer.order("load", model="new", settings=settings)
        assert (status["state"], status["context_length"]) == ("READY", 64)
        assert [model.id for model in manager.pool.models()] == ["new"]


@on_loop
async def test_options_of_a_load_replace_what_runs(folder: Path) -> None:
    """The model is loaded anew with them; the load answers when that is done. They add up with
    those of loads before; `reset` takes all of them back."""
    async with running(settings_for(folder, models={"a": {"answer": "hi"}})) as manager:
        customer = customer_of(manager)
        before = (await customer.order("load", model="a"))["replicas"][0]["name"]
        one = await customer.order("load", model="a", settings={"context_length": 64})
        assert one["context_length"] == 64
        assert [replica["name"] for replica in one["replicas"]] != [before]
        two = await customer.order("load", model="a", settings={"engine_args": {"answer": "ho"}})
        assert two["context_length"] == 64
        await manager.until(lambda: len(manager.replicas("a")) == 1)
        assert manager.replica("a").spec.options.engine_args == {"answer": "ho"}
        three = await customer.order("load", model="a", reset=True)
        assert three["context_length"] != 64
        await manager.until(lambda: len(manager.replicas("a")) == 1)
        assert manager.replica("a").spec.options.engine_args == {"answer": "hi"}


@on_loop
async def test_what_a_model_is_needs_no_new_load(folder: Path) -> None:
    """Options of the manager alone change nothing in the engine."""
    async with running(settings_for(folder, models={"a": {}})) as manager:
        customer = customer_of(manager)
        before = (await customer.order("load", model="a"))["replicas"][0]["name"]
        after = await customer.order("load", model="a", settings={"pinned": True, "ttl": 60})
        assert [replica["name"] for replica in after["replicas"]] == [before]
        assert (after["pinned"], after["ttl_s"]) == (True, 60)
        assert isinstance(await customer.refusal("unload", model="a"), Conflict)
        assert (await customer.order("unload", model="a", force=True))["state"] == "UNLOADED"


@on_loop
async def test_an_entry_that_cannot_be_served_is_not_made(folder: Path) -> None:
    """Refused, and all is as before."""
    (folder / "models").mkdir()
    (folder / "models" / "bad.gguf").write_bytes(b"no GGUF")
    async with running(settings_for(folder, models={"a": {}})) as manager:
        customer = customer_of(manager)
        error = await customer.refusal("load", model="b", settings={"path": "bad.gguf"})
        assert isinstance(error, InvalidRequest)
        assert [model.id for model in manager.pool.models()] == ["a", "bad"]
        error = await customer.refusal("load", model="a", settings={"cpus": [0], "numa_node": 0})
        assert isinstance(error, InvalidRequest)
        await customer.order("load", model="a", settings={"cpus": [0]}, wait=False)
        error = await customer.refusal("load", model="a", settings={"numa_node": 0})
        assert isinstance(error, InvalidRequest)
        assert manager.overrides.options("a") == {"cpus": [0]}


@on_loop
async def test_options_that_fail_are_taken_back(folder: Path) -> None:
    """Also those of the engine, of which only the load tells; what runs serves on."""
    async with running(settings_for(folder, models={"a": {}})) as manager:
        customer = customer_of(manager)
        before = (await customer.order("load", model="a"))["replicas"][0]["name"]
        bad = {"engine_args": {"load_error": "no such option"}}
        error = await customer.refusal("load", model="a", settings=bad)
        assert "no such option" in error.message
        assert manager.overrides.options("a") is None
        after = await customer.order("load", model="a")
        assert (after["replicas"][0]["name"], after["replicas"][0]["current"]) == (before, True)
