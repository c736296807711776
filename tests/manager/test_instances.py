"""Tests of `manager.desk.instances`, over a real pool and workers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.manager.customer import customer_of, on_loop
from tests.manager.harness import running, settings_for

from tricorn.errors import (
    Conflict,
    InstanceNotFound,
    InvalidRequest,
    ModelNotFound,
    NotAllowed,
    TooManyRequests,
    TricornError,
)


@on_loop
async def test_an_instance_is_an_entry_of_its_own(folder: Path) -> None:
    """Its parameters go to the engine whole, ours by their own meaning; it is served by its id."""
    settings = settings_for(folder, models={"a": {"answer": "hi"}}, max_concurrent_models=2)
    async with running(settings) as manager:
        customer = customer_of(manager)
        params = {"answer": "ho", "context_length": 64, "replicas": 1}
        made = await customer.order("instances.create", model="a", params=params, name="x")
        assert (made["id"], made["model"], made["model_id"]) == ("x", "a", "a@x")
        assert (made["state"], made["params"], made["url"]) == ("READY", params, "/proxy/x/v1")
        spec = manager.replica("a@x").spec
        assert (spec.options.engine_args, spec.options.context_length) == ({"answer": "ho"}, 64)
        assert (await customer.order("instances.get", id="x"))["id"] == "x"
        assert [one["id"] for one in (await customer.order("instances.list"))["data"]] == ["x"]
        assert manager.state("a") == "UNLOADED"
        lease = await manager.client().lease("a@x")
        assert lease.model_id == "a@x"
        seen: list[dict[str, str | None]] = []
        manager.events.publish = lambda event: seen.append(
            {model.id: model.instance_of for model in manager.desk.marked(manager.pool.models())}
        )
        await customer.order("instances.delete", id="x")
        assert {"a": None, "a@x": "a"} in seen  # while it ends it is no model of its own either
        assert {"a": None, "a@x": None} not in seen
        assert manager.pool.model("a@x") is None
        assert isinstance(await customer.refusal("instances.get", id="x"), InstanceNotFound)


@on_loop
async def test_instances_have_a_maximum(folder: Path) -> None:
    """MAX_INSTANCES; 0 for none at all. A name is there once."""
    settings = settings_for(folder, models={"a": {}}, max_instances=1)
    async with running(settings) as manager:
        customer = customer_of(manager)
        await customer.order("instances.create", model="a", name="x", wait=False)
        error = await customer.refusal("instances.create", model="a", name="y")
        assert isinstance(error, TooManyRequests)
        manager.settings = settings.model_copy(update={"max_instances": 2})
        again = await customer.refusal("instances.create", model="a", name="x")
        assert (type(again), again.param) == (Conflict, "name")
        manager.settings = settings.model_copy(update={"max_instances": 0})
        assert isinstance(await customer.refusal("instances.create", model="a"), NotAllowed)


@pytest.mark.parametrize(
    ("arguments", "kind", "param"),
    [
        ({"model": "b"}, ModelNotFound, "model"),
        ({"model": "a", "name": "a/b"}, InvalidRequest, "name"),
        ({"model": "a", "name": ".."}, InvalidRequest, "name"),
        ({"model": "a", "params": {"context_length": -1}}, InvalidRequest, "params.context_length"),
        ({"model": "a", "params": {"mmproj": "/etc/passwd"}}, NotAllowed, "params.mmproj"),
        (
            {"model": "a", "params": {"trust_remote_code": True}},
            NotAllowed,
            "params.trust_remote_code",
        ),
        ({"model": "a", "params": {"load_error": "it is broken"}}, TricornError, None),
    ],
)
@on_loop
async def test_an_instance_that_cannot_be_made_leaves_nothing(
    folder: Path, arguments: dict[str, Any], kind: type[TricornError], param: str | None
) -> None:
    async with running(settings_for(folder, models={"a": {}})) as manager:
        customer = customer_of(manager)
        error = await customer.refusal("instances.create", **arguments)
        assert isinstance(error, kind)
        assert error.param == param
        assert (await customer.order("instances.list"))["data"] == []
        assert [model.id for model in manager.pool.models()] == ["a"]


@on_loop
async def test_an_idle_instance_ends(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After its ttl without a request it is gone, entry and process; one in use is not."""
    monkeypatch.setattr("tricorn.manager.desk.instances.LOOK_S", 0.02)
    settings = settings_for(folder, models={"a": {}}, max_concurrent_models=2)
    async with running(settings) as manager:
        customer, gateway = customer_of(manager), manager.client()
        made = await customer.order("instances.create", model="a", name="x", ttl=0.1)
        assert made["expires_at"] is not None
        lease = await gateway.lease("a@x")
        await customer.order("instances.create", model="a", name="y", ttl=0.1)
        await manager.until(lambda: manager.pool.model("a@y") is None)
        assert manager.state("a@x") == "READY"
        gateway.give_back(lease)
        await manager.until(lambda: manager.pool.model("a@x") is None)
        kinds = [event.kind for event in manager.events.after(0)]
        assert kinds.count("instance.expired") == 2
