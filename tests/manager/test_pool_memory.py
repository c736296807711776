"""The pool under a budget of memory, on real engine workers with the fake engine."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.manager.harness import Client, Manager, is_running, running, settings_for

from tricorn.errors import InsufficientMemory
from tricorn.manager.pool import housekeeping

MB = 10**6


def takes(megabytes: int, **more: Any) -> dict[str, Any]:
    """A fake's knobs: what it is thought to take, and then takes."""
    return {"memory_bytes": megabytes * MB, "measured_bytes": megabytes * MB} | more


def settings(folder: Path, models: dict[str, Any], **given: Any) -> Any:
    return settings_for(folder, models=models, **({"max_concurrent_models": 0} | given))


async def use(client: Client, *models: str) -> None:
    for model in models:
        client.give_back(await client.lease(model))


def held(manager: Manager) -> int:
    ledger = manager.books.ledger
    return ledger.budget()["main"] - ledger.unheld()["main"]


def test_as_many_as_fit(folder: Path) -> None:
    """Without a count, memory decides: the least recently used one makes room."""

    async def scenario() -> None:
        models = {"a": takes(400), "b": takes(400), "c": takes(400)}
        async with running(settings(folder, models), budget={"main": 1000 * MB}) as manager:
            client = manager.client()
            await use(client, "a", "b", "a", "c")
            states = {model: manager.state(model) for model in models}
            assert states == {"a": "READY", "b": "UNLOADED", "c": "READY"}
            assert held(manager) <= 1000 * MB

    asyncio.run(scenario())


def test_one_large_one_for_several_small_ones(folder: Path) -> None:
    async def scenario() -> None:
        models = {"a": takes(300), "b": takes(300), "c": takes(300), "large": takes(700)}
        async with running(settings(folder, models), budget={"main": 1000 * MB}) as manager:
            await use(manager.client(), "a", "b", "c", "large")
            states = [manager.state(model) for model in models]
            assert states == ["UNLOADED", "UNLOADED", "READY", "READY"]

    asyncio.run(scenario())


def test_two_loads_at_once_never_take_the_same_bytes(folder: Path) -> None:
    """What one reserves the other does not get; it is served later."""

    async def scenario() -> None:
        models = {"a": takes(600, load_delay_s=0.2), "b": takes(600, load_delay_s=0.2)}
        async with running(settings(folder, models), budget={"main": 1000 * MB}) as manager:
            client = manager.client()
            calls = [client.ask("a"), client.ask("b")]
            most = 0

            def watch() -> bool:
                nonlocal most
                most = max(most, held(manager))
                return client.answers[calls[0]].done()

            await manager.until(watch)
            client.give_back(await client.outcome(calls[0]))
            await manager.until(lambda: watch() and client.answers[calls[1]].done())
            assert most == 600 * MB
            assert manager.state("a") == "UNLOADED"

    asyncio.run(scenario())


def test_measured_takes_the_place_of_what_was_expected(folder: Path) -> None:
    """And is remembered for the next load."""

    async def scenario() -> None:
        models = {"a": takes(800, measured_bytes=300 * MB), "b": takes(600)}
        async with running(settings(folder, models), budget={"main": 1000 * MB}) as manager:
            client = manager.client()
            await use(client, "a")
            await manager.until(lambda: held(manager) == 300 * MB)
            await use(client, "b")
            assert manager.state("a") == manager.state("b") == "READY"
            await manager.pool.unload("a")
            assert manager.pool.status("a")["memory_expected"] == {"main": 300 * MB}
            assert manager.pool.status("a")["load_s"] is not None

    asyncio.run(scenario())


def test_what_can_never_fit_is_refused(folder: Path) -> None:
    """At once, with both sizes; nothing is unloaded for it, and what runs goes on."""

    async def scenario() -> None:
        models = {"a": takes(400), "huge": takes(2000)}
        async with running(settings(folder, models), budget={"main": 1000 * MB}) as manager:
            client = manager.client()
            await use(client, "a")
            error = await client.refusal("huge")
            assert isinstance(error, InsufficientMemory)
            assert error.status == 507
            assert "1.9 GiB" in error.message
            assert "954 MiB" in error.message
            assert manager.state("a") == "READY"
            status = manager.pool.status("huge")
            assert status["state"] == "FAILED"
            assert status["last_error"] == error.message
            assert len(manager.started) == 1

    asyncio.run(scenario())


def test_a_shorter_context_where_that_is_allowed(folder: Path) -> None:
    """The model is loaded with the longest context that fits, and its status says so."""

    async def scenario() -> None:
        engine_args = takes(200) | {"token_bytes": MB // 4, "measured_bytes": None}
        given = settings(folder, {"m": engine_args}, shrink_context=True, context_length=8192)
        async with running(given, budget={"main": 1000 * MB}) as manager:
            lease = await manager.client().lease("m")
            assert lease.model.context_length == 3072
            assert manager.pool.status("m")["context_shrunk_to"] == lease.model.context_length
        given = settings(folder, {"m": engine_args}, context_length=8192)
        async with running(given, budget={"main": 1000 * MB}) as manager:
            error = await manager.client().refusal("m")
            assert str(lease.model.context_length) in error.message.replace(",", "")

    asyncio.run(scenario())


def test_pinned_models_keep_their_memory(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not fit beside them is refused, not left waiting."""
    monkeypatch.setattr(housekeeping, "SETTLE_S", 0.05)

    async def scenario() -> None:
        given = settings(folder, {"pinned": takes(600), "b": takes(600)})
        given.models["pinned"].pinned = True
        async with running(given, budget={"main": 1000 * MB}) as manager:
            client = manager.client()
            await use(client, "pinned")
            assert isinstance(await client.refusal("b"), InsufficientMemory)
            assert manager.state("pinned") == "READY"
            await manager.pool.unload("pinned", force=True)
            await use(client, "b")

    asyncio.run(scenario())


def test_a_crash_gives_its_memory_back(folder: Path) -> None:
    async def scenario() -> None:
        given = settings(folder, {"a": takes(600), "b": takes(600)})
        async with running(given, budget={"main": 1000 * MB}) as manager:
            client = manager.client()
            await use(client, "a")
            [replica] = manager.replicas("a")
            replica.kill()
            await manager.until(lambda: not manager.replicas("a"))
            assert held(manager) == 0
            await use(client, "b")
            assert replica.pid is not None
            assert not is_running(replica.pid)

    asyncio.run(scenario())
