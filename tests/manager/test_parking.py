"""Models that make room by being parked, on real engine workers with the fake engine."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.manager.harness import Client, Manager, is_running, running, settings_for

from tricorn.errors import ModelLoadFailed
from tricorn.manager.replicas.replica import Replica

PARKABLE: dict[str, Any] = {"park": True}


async def use(client: Client, *models: str) -> None:
    for model in models:
        client.give_back(await client.lease(model))


def settings(folder: Path, models: dict[str, dict[str, Any]], **given: Any) -> Any:
    return settings_for(folder, models=models, **given)


def pid(replica: Replica) -> int:
    assert replica.pid is not None
    return replica.pid


def test_what_makes_room_is_parked_and_woken(folder: Path) -> None:
    """Its process stays and serves again, by the same address; its state is told."""

    async def scenario() -> None:
        async with running(settings(folder, {"a": PARKABLE, "b": PARKABLE})) as manager:
            client = manager.client()
            first = await client.lease("a")
            client.give_back(first)
            await use(client, "b")
            assert manager.state("a") == "PARKED"
            assert {m.id: m.state for m in manager.pool.models()} == {"a": "PARKED", "b": "READY"}
            again = await client.lease("a")
            assert (again.address, again.secret) == (first.address, first.secret)
            assert again.lease != first.lease
            assert manager.state("b") == "PARKED"
            assert len(manager.started) == 2

    asyncio.run(scenario())


def test_an_engine_that_cannot_is_unloaded(folder: Path) -> None:
    """As if there were no parking."""

    async def scenario() -> None:
        async with running(settings(folder, {"a": {}, "b": {}})) as manager:
            await use(manager.client(), "a", "b")
            assert manager.state("a") == "UNLOADED"

    asyncio.run(scenario())


def test_nothing_is_parked_where_none_may_be(folder: Path) -> None:
    """MAX_PARKED_MODELS=0."""

    async def scenario() -> None:
        models = {"a": PARKABLE, "b": PARKABLE}
        async with running(settings(folder, models, max_parked_models=0)) as manager:
            await use(manager.client(), "a", "b")
            assert manager.state("a") == "UNLOADED"

    asyncio.run(scenario())


def test_the_least_recently_used_beyond_the_bound_is_unloaded(folder: Path) -> None:
    """Two may be parked: the third one costs the oldest its process."""

    async def scenario() -> None:
        models = dict.fromkeys("abcd", PARKABLE)
        async with running(settings(folder, models, max_parked_models=2)) as manager:
            client = manager.client()
            await use(client, "a", "b", "c")
            assert [manager.state(name) for name in "ab"] == ["PARKED", "PARKED"]
            oldest = manager.replica("a")
            await use(client, "d")
            await manager.until(lambda: oldest.gone)
            assert [manager.state(name) for name in "abc"] == ["UNLOADED", "PARKED", "PARKED"]
            assert not is_running(pid(oldest))

    asyncio.run(scenario())


def test_leases_come_back_before_it_is_parked(folder: Path) -> None:
    """What runs on it is finished first."""

    async def scenario() -> None:
        models = {"a": PARKABLE, "b": PARKABLE}
        async with running(settings(folder, models, max_swap_wait_s=0.05)) as manager:
            client = manager.client()
            lease = await client.lease("a")
            waiting = client.ask("b")
            await manager.until(lambda: manager.state("a") == "DRAINING")
            client.give_back(lease)
            await client.outcome(waiting)
            assert manager.state("a") == "PARKED"

    asyncio.run(scenario())


@pytest.mark.skipif(os.name != "posix", reason="signals of posix")
def test_a_parked_process_that_dies_is_unloaded(folder: Path) -> None:
    """It was no loss to anybody, so it is no failure; the next request loads it."""

    async def scenario() -> None:
        async with running(settings(folder, {"a": PARKABLE, "b": PARKABLE})) as manager:
            client = manager.client()
            await use(client, "a", "b")
            parked = manager.replica("a")
            os.kill(pid(parked), signal.SIGKILL)
            await manager.until(lambda: parked.gone)
            assert (manager.state("a"), parked.failure) == ("UNLOADED", None)
            await use(client, "a")
            assert len(manager.started) == 3

    asyncio.run(scenario())


@pytest.mark.skipif(os.name != "posix", reason="signals of posix")
def test_a_crash_while_waking_is_a_failed_load(folder: Path) -> None:
    """Those who wait get the reason."""

    async def scenario() -> None:
        models = {"a": PARKABLE | {"wake_delay_s": 60}, "b": {}}
        async with running(settings(folder, models)) as manager:
            client = manager.client()
            await use(client, "a", "b")
            waking = client.ask("a")
            await manager.until(lambda: manager.state("a") == "LOADING")
            os.kill(pid(manager.replica("a")), signal.SIGKILL)
            with pytest.raises(ModelLoadFailed, match="SIGKILL"):
                await client.outcome(waking)
            assert manager.state("a") == "FAILED"

    asyncio.run(scenario())


def test_one_that_cannot_be_woken_fails_with_its_reason(folder: Path) -> None:
    """And its process ends."""

    async def scenario() -> None:
        models = {"a": PARKABLE | {"wake_error": "no memory"}, "b": {}}
        async with running(settings(folder, models)) as manager:
            client = manager.client()
            await use(client, "a", "b")
            one = manager.replica("a")
            error = await client.refusal("a")
            assert isinstance(error, ModelLoadFailed)
            assert "no memory" in error.message
            await manager.until(lambda: one.gone)
            assert one.failed_loading

    asyncio.run(scenario())


def test_one_that_cannot_be_parked_is_unloaded(folder: Path) -> None:
    """The model that needs the place gets it all the same."""

    async def scenario() -> None:
        models = {"a": PARKABLE | {"park_error": "will not"}, "b": {}}
        async with running(settings(folder, models)) as manager:
            await use(manager.client(), "a", "b")
            assert (manager.state("a"), manager.started[0].failure) == ("UNLOADED", None)

    asyncio.run(scenario())


def test_a_load_that_fails_beside_parked_ones_is_tried_without_them(folder: Path) -> None:
    """They hold a little of the device still; only then is it a failure."""

    async def scenario() -> None:
        models = {"a": PARKABLE, "b": {"load_error": "not enough memory"}}
        async with running(settings(folder, models)) as manager:
            client = manager.client()
            await use(client, "a")
            assert "not enough memory" in (await client.refusal("b")).message
            assert [replica.spec.id for replica in manager.started] == ["a", "b", "b"]
            assert manager.state("a") == "UNLOADED"

    asyncio.run(scenario())


def test_a_parked_model_that_has_changed_is_loaded_anew(folder: Path) -> None:
    """Its files or settings are others now; one that is gone from the catalog is unloaded."""

    async def scenario() -> None:
        async with running(settings(folder, {"a": PARKABLE, "b": PARKABLE})) as manager:
            client = manager.client()
            await use(client, "a", "b")
            parked = manager.replica("a")
            specs = {name: manager.pool.model(name).spec for name in "ab"}  # type: ignore[union-attr]
            changed = msgspec.structs.replace(specs["a"], created=specs["a"].created + 1)
            manager.pool.adopt(specs | {"a": changed})
            await manager.until(lambda: parked.gone)
            await use(client, "a")
            assert manager.replica("a").spec == changed
            parked = manager.replica("b")
            manager.pool.adopt({"a": changed})
            await manager.until(lambda: parked.gone)
            assert manager.pool.model("b") is None

    asyncio.run(scenario())


def test_shutdown_ends_parked_processes(folder: Path) -> None:
    """By asking, like those that serve."""

    async def scenario() -> None:
        manager: Manager
        async with running(settings(folder, {"a": PARKABLE, "b": PARKABLE})) as manager:
            await use(manager.client(), "a", "b")
            assert manager.state("a") == "PARKED"
        assert [replica.state for replica in manager.started] == ["UNLOADED", "UNLOADED"]
        assert not any(is_running(pid(replica)) for replica in manager.started)

    asyncio.run(scenario())


def test_many_swaps_start_each_model_once(folder: Path) -> None:
    """Alternating requests wake what is parked, and are all served."""

    async def scenario() -> None:
        models = dict.fromkeys("abc", PARKABLE)
        options = settings(folder, models, max_parked_models=2, max_swap_wait_s=0.01)
        async with running(options) as manager:
            client = manager.client()
            await asyncio.gather(*(use(client, "abc"[number % 3]) for number in range(30)))
            assert manager.pool.lease_count() == 0
            assert len(manager.started) == 3

    asyncio.run(scenario())


def test_only_a_parked_one_can_be_woken(folder: Path) -> None:
    """There is no other arrow to LOADING than from there and from the start."""

    async def scenario() -> None:
        async with running(settings(folder, {"a": PARKABLE})) as manager:
            await manager.client().lease("a")
            with pytest.raises(RuntimeError, match="no arrow from READY to LOADING"):
                manager.replica("a").wake()

    asyncio.run(scenario())
