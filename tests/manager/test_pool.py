"""Tests of `tricorn.manager.pool.pool`, on real engine workers with the fake engine."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest
from tests.manager.harness import Manager, is_running, running, settings_for

from tricorn.errors import ErrorInfo, ModelLoadFailed, ModelNotFound, Overloaded, ShuttingDown
from tricorn.manager.pool import served_model


def pid_of(manager: Manager, model: str) -> int:
    pid = manager.replica(model).pid
    assert pid is not None
    return pid


def test_one_load_for_many_requests(folder: Path) -> None:
    """32 requests at once for a model that isn't loaded share one load and one process."""

    async def scenario() -> None:
        async with running(settings_for(folder, models={"m": {"load_delay_s": 0.2}})) as manager:
            client = manager.client()
            calls = [client.ask("m") for _ in range(32)]
            leases = [await client.outcome(call) for call in calls]
            assert len(manager.started) == 1
            assert len({lease.lease for lease in leases}) == 32
            assert {lease.model_id for lease in leases} == {"m"}
            assert leases[0].model.context_length == 4096
            (listed,) = [m for m in manager.pool.models() if m.id == "m"]
            assert listed.capabilities == leases[0].model.capabilities
            assert listed.dialect == leases[0].model.dialect
            assert listed.details == leases[0].model.details == {"engine": "fake"}

    asyncio.run(scenario())


def test_least_recently_used_idle_model_makes_room(folder: Path) -> None:
    """With two places, a third model takes that of the one that was not used for longest."""

    async def scenario() -> None:
        settings = settings_for(folder, models={"a": {}, "b": {}, "c": {}}, max_concurrent_models=2)
        async with running(settings) as manager:
            client = manager.client()
            for name in ("a", "b", "a"):
                client.give_back(await client.lease(name))
            old = pid_of(manager, "b")
            await client.lease("c")
            assert manager.state("a") == "READY"
            assert manager.state("b") == "UNLOADED"
            assert not is_running(old)

    asyncio.run(scenario())


def test_busy_model_is_not_evicted(folder: Path) -> None:
    """A model with a lease stays until it is given back; the waiting request gets its turn then."""

    async def scenario() -> None:
        settings = settings_for(folder, models={"a": {}, "b": {}}, max_swap_wait_s=0.05)
        async with running(settings) as manager:
            client = manager.client()
            lease = await client.lease("a")
            waiting = client.ask("b")
            await manager.until(lambda: manager.state("a") == "DRAINING")
            assert is_running(pid_of(manager, "a"))
            assert not client.answers[waiting].done()
            client.give_back(lease)
            assert (await client.outcome(waiting)).model_id == "b"

    asyncio.run(scenario())


def test_steady_stream_does_not_starve_another_model(folder: Path) -> None:
    """While one model is asked for without a pause, a request for another is served too."""

    async def scenario() -> None:
        settings = settings_for(folder, models={"a": {}, "b": {}}, max_swap_wait_s=0.05)
        async with running(settings) as manager:
            client = manager.client()

            async def hammer() -> None:
                held = await client.lease("a")
                while True:
                    asked = client.ask("a")
                    client.give_back(held)
                    held = await client.outcome(asked)
                    await asyncio.sleep(0)

            hammering = asyncio.create_task(hammer())
            client.give_back(await client.lease("b"))
            hammering.cancel()

    asyncio.run(scenario())


def test_crash_is_mended_and_waiters_are_served(folder: Path) -> None:
    """An engine killed while in use is started again by itself; who asks meanwhile waits for it."""

    async def scenario() -> None:
        async with running(settings_for(folder, models={"m": {}})) as manager:
            client = manager.client()
            lease = await client.lease("m")
            first = pid_of(manager, "m")
            os.kill(first, signal.SIGKILL)
            client.give_back(lease, lost=True)
            again = await client.lease("m")
            assert pid_of(manager, "m") != first
            assert again.secret != lease.secret
            assert len(manager.started) == 2

    asyncio.run(scenario())


def test_crash_in_use_is_mended_without_a_request(folder: Path) -> None:
    """A model that died while it was in use comes back although nobody asks for it."""

    async def scenario() -> None:
        async with running(settings_for(folder, models={"m": {}})) as manager:
            client = manager.client()
            await client.lease("m")
            os.kill(pid_of(manager, "m"), signal.SIGKILL)
            await manager.until(lambda: len(manager.started) == 2)
            await manager.until(lambda: manager.state("m") == "READY")
            assert manager.started[0].failure is not None
            assert "SIGKILL" in manager.started[0].failure.message

    asyncio.run(scenario())


def test_lost_data_socket_of_a_healthy_replica(folder: Path) -> None:
    """A replica that a gateway calls lost, but that lives, is leased again after a moment."""

    async def scenario() -> None:
        async with running(settings_for(folder, models={"m": {}})) as manager:
            client = manager.client()
            client.give_back(await client.lease("m"), lost=True)
            assert not manager.replica("m").is_leasable()
            await client.lease("m")
            assert len(manager.started) == 1

    asyncio.run(scenario())


def test_failed_load_fails_all_waiters(folder: Path) -> None:
    """All who wait for a load that fails get its reason; until the back-off is over, others too."""

    async def scenario() -> None:
        settings = settings_for(folder, models={"m": {"load_error": "out of luck"}})
        async with running(settings) as manager:
            client = manager.client()
            calls = [client.ask("m") for _ in range(3)]
            for call in calls:
                with pytest.raises(ModelLoadFailed, match="out of luck"):
                    await client.outcome(call)
            again = await client.refusal("m")
            assert isinstance(again, ModelLoadFailed)
            assert again.retry_after_s is not None
            assert again.retry_after_s > 0
            assert len(manager.started) == 1
            assert manager.pool.models()[0].failure is not None

    asyncio.run(scenario())


def test_failed_load_is_tried_again_after_back_off(folder: Path) -> None:
    """The first request after the back-off tries the load again."""

    async def scenario() -> None:
        settings = settings_for(folder, models={"m": {"load_error": "out of luck"}})
        async with running(settings) as manager:
            client = manager.client()
            await client.refusal("m")
            served = manager.pool.model("m")
            assert served is not None
            await manager.until(lambda: not served.replicas)
            served.retry_at = 0.0
            await client.refusal("m")
            assert len(manager.started) == 2
            assert served.failures == 2

    asyncio.run(scenario())


def test_repeated_crashes_are_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that keeps crashing no longer keeps its requests waiting."""
    monkeypatch.setattr(served_model, "PATIENT_CRASHES", 1)

    async def scenario() -> None:
        async with running(settings_for(folder, models={"m": {}})) as manager:
            client = manager.client()
            for _ in range(2):
                lease = await client.lease("m")
                replica = manager.replica("m")
                os.kill(pid_of(manager, "m"), signal.SIGKILL)
                await manager.until(lambda replica=replica: replica.gone)  # type: ignore[misc]
                client.give_back(lease)
            error = await client.refusal("m")
            assert error.code == "engine_lost"
            assert error.retry_after_s is not None

    asyncio.run(scenario())


def test_queue_is_bounded(folder: Path) -> None:
    """One more than MAX_WAITING is refused at once, and is told when to come back."""

    async def scenario() -> None:
        settings = settings_for(folder, models={"m": {"load_delay_s": 0.2}}, max_waiting=2)
        async with running(settings) as manager:
            client = manager.client()
            calls = [client.ask("m") for _ in range(2)]
            error = await client.refusal("m")
            assert isinstance(error, Overloaded)
            assert error.retry_after_s is not None
            for call in calls:
                await client.outcome(call)

    asyncio.run(scenario())


def test_no_waiting_at_all_still_loads(folder: Path) -> None:
    """With MAX_WAITING=0 the refused request brings the model in for those that come later."""

    async def scenario() -> None:
        async with running(settings_for(folder, models={"m": {}}, max_waiting=0)) as manager:
            client = manager.client()
            assert isinstance(await client.refusal("m"), Overloaded)
            await manager.until(lambda: manager.state("m") == "READY")
            await client.lease("m")

    asyncio.run(scenario())


def test_waiting_is_bounded_in_time(folder: Path) -> None:
    """A request that waited MAX_WAIT_S for a place is refused."""

    async def scenario() -> None:
        settings = settings_for(folder, models={"a": {}, "b": {}}, max_wait_s=2.0)
        async with running(settings) as manager:
            client = manager.client()
            await client.lease("a")
            assert isinstance(await client.refusal("b"), Overloaded)

    asyncio.run(scenario())


def test_first_come_first_served(folder: Path) -> None:
    """Waiting requests are granted in the order in which they came."""

    async def scenario() -> None:
        async with running(settings_for(folder, models={"m": {}})) as manager:
            client = manager.client()
            calls = [client.ask("m") for _ in range(8)]
            leases = [(await client.outcome(call)).lease for call in calls]
            assert leases == sorted(leases)

    asyncio.run(scenario())


def test_withdrawn_call_gets_nothing(folder: Path) -> None:
    """A waiting call that is withdrawn is not answered; a granted one gives its lease back."""

    async def scenario() -> None:
        async with running(settings_for(folder, models={"m": {}})) as manager:
            client = manager.client()
            first, second = client.ask("m"), client.ask("m")
            manager.pool.withdraw(client, first)
            await client.outcome(second)
            assert not client.answers[first].done()
            assert manager.pool.lease_count() == 1
            manager.pool.withdraw(client, second)
            assert manager.pool.lease_count() == 0
            assert manager.replica("m").leases == 0

    asyncio.run(scenario())


def test_dropped_holder_gives_everything_back(folder: Path) -> None:
    """A connection that ends gives back its leases and waiting calls, and only its own."""

    async def scenario() -> None:
        async with running(settings_for(folder, models={"a": {}, "b": {}})) as manager:
            gone, other = manager.client(), manager.client()
            await gone.lease("a")
            kept = await other.lease("a")
            gone.ask("b")
            manager.pool.drop(gone)
            assert manager.pool.lease_count() == 1
            other.pool.release(gone, kept.lease)  # not its to give back
            assert manager.pool.lease_count() == 1

    asyncio.run(scenario())


def test_unknown_model_names_the_known(folder: Path) -> None:
    """An unknown model is refused with the names there are."""

    async def scenario() -> None:
        async with running(settings_for(folder, models={"a": {}, "b": {}})) as manager:
            error = await manager.client().refusal("gpt-4")
            assert isinstance(error, ModelNotFound)
            assert error.info() == ErrorInfo(
                "model_not_found", "the model 'gpt-4' does not exist; there are: a, b", "model"
            )

    asyncio.run(scenario())


def test_file_that_was_dropped_in_is_found(folder: Path) -> None:
    """A model file that came after the start is found by the first request for it."""

    async def scenario() -> None:
        async with running(settings_for(folder, models={"a": {}})) as manager:
            (folder / "models").mkdir()
            (folder / "models" / "new.gguf").write_bytes(b"nonsense")
            error = await manager.client().refusal("new")
            assert isinstance(error, ModelLoadFailed)
            assert "not a GGUF file" in error.message
            (folder / "models" / "new.gguf").unlink()
            assert isinstance(await manager.client().refusal("new"), ModelLoadFailed)
            manager.pool.rescan()
            await manager.until(lambda: manager.pool.model("new") is None)

    asyncio.run(scenario())


def test_load_that_nobody_waits_for_gives_way(folder: Path) -> None:
    """A load whose requests were all withdrawn does not keep another model out."""

    async def scenario() -> None:
        settings = settings_for(folder, models={"slow": {"load_delay_s": 60}, "b": {}})
        async with running(settings) as manager:
            client = manager.client()
            call = client.ask("slow")
            await manager.until(lambda: manager.state("slow") == "LOADING")
            manager.pool.withdraw(client, call)
            await client.lease("b")
            assert manager.state("slow") == "UNLOADED"

    asyncio.run(scenario())


def test_preload_needs_no_request(folder: Path) -> None:
    """A preloaded model becomes ready by itself, and may be evicted like any other."""

    async def scenario() -> None:
        async with running(settings_for(folder, models={"a": {}, "b": {}})) as manager:
            manager.pool.preload("a")
            await manager.until(lambda: manager.state("a") == "READY")
            await manager.client().lease("b")
            assert manager.state("a") == "UNLOADED"

    asyncio.run(scenario())


def test_closing_refuses_and_waits_for_leases(folder: Path) -> None:
    """A closed pool refuses waiting and new calls, and is idle when the last lease is back."""

    async def scenario() -> None:
        async with running(settings_for(folder, models={"a": {}, "b": {}})) as manager:
            client = manager.client()
            lease = await client.lease("a")
            waiting = client.ask("b")
            manager.pool.close()
            with pytest.raises(ShuttingDown):
                await client.outcome(waiting)
            assert isinstance(await client.refusal("a"), ShuttingDown)
            idle = asyncio.create_task(manager.pool.wait_idle())
            await asyncio.sleep(0)
            assert not idle.done()
            client.give_back(lease)
            await asyncio.wait_for(idle, 5)

    asyncio.run(scenario())


def test_many_swaps_lose_nothing(folder: Path) -> None:
    """Alternating requests to more models than there are places are all served."""

    async def scenario() -> None:
        settings = settings_for(folder, models={"a": {}, "b": {}, "c": {}}, max_swap_wait_s=0.01)
        async with running(settings) as manager:
            client = manager.client()

            async def use(name: str) -> None:
                lease = await client.lease(name)
                await asyncio.sleep(0)
                client.give_back(lease)

            await asyncio.gather(*(use("abc"[number % 3]) for number in range(30)))
            assert manager.pool.lease_count() == 0

    asyncio.run(scenario())
