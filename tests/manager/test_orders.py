"""Tests of `manager.desk.orders` and what carries orders out, over a real pool and workers."""

from __future__ import annotations

import asyncio
import functools
import itertools
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from tests.manager.harness import WAIT_S, Manager, running, settings_for

from tricorn.errors import (
    Conflict,
    InstanceNotFound,
    InternalError,
    InvalidRequest,
    ModelNotFound,
    NotAllowed,
    ShuttingDown,
    TooManyRequests,
    TricornError,
    from_info,
)
from tricorn.manager.desk.orders import Command, Orders, Tell
from tricorn.manager.protocol import Order, Progress, Refused, Told


def on_loop(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """A test that is a coroutine."""

    @functools.wraps(test)
    def run(*arguments: Any, **named: Any) -> None:
        asyncio.run(cast(Any, test(*arguments, **named)))

    return run


class Customer:
    """A gateway's connection."""

    def __init__(self, orders: Orders) -> None:
        self.orders = orders
        self.numbers = itertools.count(1)
        self.answers: dict[int, asyncio.Future[Told | Refused]] = {}
        self.progress: list[Progress] = []
        self.told = asyncio.Event()

    def answer(self, message: Told | Refused | Progress) -> None:
        if isinstance(message, Progress):
            self.progress.append(message)
            self.told.set()
        else:
            self.answers[message.call].set_result(message)

    def give(self, command: str, **arguments: Any) -> int:
        call = next(self.numbers)
        self.answers[call] = asyncio.get_running_loop().create_future()
        self.orders.take(self, Order(call, command, arguments))
        return call

    async def order(self, command: str, **arguments: Any) -> dict[str, Any]:
        """The answer, or the refusal raised."""
        message = await asyncio.wait_for(self.answers[self.give(command, **arguments)], WAIT_S)
        if isinstance(message, Refused):
            raise from_info(message.error)
        return message.result

    async def refusal(self, command: str, **arguments: Any) -> TricornError:
        try:
            await self.order(command, **arguments)
        except TricornError as error:
            return error
        raise AssertionError("it was carried out")


# --- the dispatcher -------------------------------------------------------------------------------


class Number(msgspec.Struct, forbid_unknown_fields=True):
    value: int


def dispatcher(do: Callable[[Number, Tell], Awaitable[dict[str, Any]]]) -> Customer:
    return Customer(Orders({"do": Command(Number, do)}))


@on_loop
async def test_answer_and_progress() -> None:
    """A command's progress comes before its answer, each with the order's number."""

    async def do(number: Number, tell: Tell) -> dict[str, Any]:
        tell("half", 0.5, 2.0, {"seen": True})
        return {"value": number.value}

    customer = dispatcher(do)
    assert await customer.order("do", value=3) == {"value": 3}
    assert customer.progress == [Progress(1, "half", 0.5, 2.0, {"seen": True})]


@pytest.mark.parametrize(
    ("command", "arguments", "words"),
    [
        ("undo", {}, "no order 'undo'"),
        ("do", {"value": "3"}, "value"),
        ("do", {}, "value"),
        ("do", {"value": 1, "other": 2}, "other"),
    ],
)
@on_loop
async def test_bad_orders(command: str, arguments: dict[str, Any], words: str) -> None:
    """An unknown order, and arguments of other names or types."""

    async def do(number: Number, tell: Tell) -> dict[str, Any]:
        raise AssertionError("it was carried out")

    error = await dispatcher(do).refusal(command, **arguments)
    assert isinstance(error, InvalidRequest)
    assert words in error.message


@on_loop
async def test_errors_are_answers() -> None:
    """A TricornError is told as it is; anything else without its details."""

    async def do(number: Number, tell: Tell) -> dict[str, Any]:
        if number.value:
            raise Conflict("no", param="p")
        raise ZeroDivisionError("secret")

    customer = dispatcher(do)
    refusal = await customer.refusal("do", value=1)
    assert (type(refusal), refusal.message, refusal.param) == (Conflict, "no", "p")
    broken = await customer.refusal("do", value=0)
    assert isinstance(broken, InternalError)
    assert "secret" not in broken.message


@pytest.mark.parametrize("how", ["withdraw", "drop"])
@on_loop
async def test_ends_with_whom_it_was_for(how: str) -> None:
    """A withdrawn order, or one whose connection ends, is cancelled and not answered."""
    begun, ended = asyncio.Event(), asyncio.Event()

    async def do(number: Number, tell: Tell) -> dict[str, Any]:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        return {}

    customer = dispatcher(do)
    call = customer.give("do", value=1)
    await begun.wait()
    if how == "withdraw":
        customer.orders.withdraw(customer, call)
    else:
        customer.orders.drop(customer)
    await asyncio.wait_for(ended.wait(), WAIT_S)
    await asyncio.sleep(0)
    assert not customer.answers[call].done()


@on_loop
async def test_close_refuses() -> None:
    """What runs at the end is refused, and so is what comes after."""
    begun = asyncio.Event()

    async def do(number: Number, tell: Tell) -> dict[str, Any]:
        begun.set()
        await asyncio.Event().wait()
        return {}

    customer = dispatcher(do)
    call = customer.give("do", value=1)
    await begun.wait()
    customer.orders.close()
    running = await asyncio.wait_for(customer.answers[call], WAIT_S)
    assert isinstance(running, Refused)
    assert running.error.code == ShuttingDown.code
    assert isinstance(await customer.refusal("do", value=1), ShuttingDown)


# --- models ---------------------------------------------------------------------------------------


def customer_of(manager: Manager) -> Customer:
    return Customer(manager.desk.orders)


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


class Kept(msgspec.Struct):
    kind: str
    body: dict[str, Any]


class Memory:
    """A keeper that is asked, as `storage.manager_memory` is, and remembers."""

    def __init__(self) -> None:
        self.kept: dict[str, Kept] = {}
        self.waited_for: dict[str, Kept] = {}
        """What was there when somebody last waited for it to be saved."""

    def desired(self) -> dict[str, Kept]:
        return dict(self.kept)

    def put_desired(self, name: str, kind: str, body: dict[str, Any]) -> None:
        self.kept[name] = Kept(kind, body)

    def drop_desired(self, name: str) -> bool:
        return self.kept.pop(name, None) is not None

    async def saved(self) -> None:
        self.waited_for = dict(self.kept)


@on_loop
async def test_entries_outlive_a_restart(folder: Path) -> None:
    """What loads have said and the instances that were made are there again; what was taken back
    is not."""
    settings, memory = settings_for(folder, models={"a": {}}), Memory()
    async with running(settings, keeper=memory) as manager:
        customer = customer_of(manager)
        await customer.order("load", model="a", settings={"context_length": 64, "ttl": "never"})
        await customer.order("load", model="b", settings={"engine": "fake"}, wait=False)
        assert "options:a" in memory.waited_for
        await customer.order("instances.create", model="a", name="x", wait=False)
        assert "instance:a@x" in memory.waited_for
        await customer.order("instances.create", model="a", name="y", wait=False)
        await customer.order("instances.delete", id="y")
        await customer.refusal("load", model="b", reset=True)
    async with running(settings, keeper=memory) as manager:
        listed = {
            model.id: model.instance_of for model in manager.desk.marked(manager.pool.models())
        }
        assert listed == {"a": None, "a@x": "a"}
        assert (await customer_of(manager).order("load", model="a"))["context_length"] == 64


# --- instances ------------------------------------------------------------------------------------


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


# --- files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("../outside.gguf", NotAllowed),
        ("/etc/passwd", NotAllowed),
        ("x/../../outside.gguf", NotAllowed),
        ("link.gguf", NotAllowed),
        ("folder", NotAllowed),
        ("nothing.gguf", InvalidRequest),
        ("a\0b", InvalidRequest),
        ("a\nb", InvalidRequest),
        ("", InvalidRequest),
    ],
)
@on_loop
async def test_paths_that_lead_out(folder: Path, path: str, kind: type[TricornError]) -> None:
    """Outside MODEL_BASE_PATH, by itself or by a link, also of a file in a folder that it names."""
    models = folder / "models"
    (models / "folder").mkdir(parents=True)
    (folder / "outside.gguf").write_bytes(b"GGUF")
    (models / "link.gguf").symlink_to(folder / "outside.gguf")
    (models / "folder" / "model.safetensors").symlink_to(folder / "outside.gguf")
    async with running(settings_for(folder)) as manager:
        error = await customer_of(manager).refusal("load", model="n", settings={"path": path})
        assert (type(error), error.param) == (kind, "model_path")
        assert manager.overrides.options("n") is None


@on_loop
async def test_allowed_paths(folder: Path) -> None:
    """ALLOWED_MODEL_PATHS adds folders; what is in them is then looked at."""
    (folder / "more").mkdir()
    (folder / "more" / "m.gguf").write_bytes(b"no GGUF")
    settings = settings_for(folder, allowed_model_paths=[str(folder / "more")])
    async with running(settings) as manager:
        customer = customer_of(manager)
        given = {"path": str(folder / "more" / "m.gguf")}
        error = await customer.refusal("load", model="n", settings=given)
        assert isinstance(error, InvalidRequest)
        assert "GGUF" in error.message
        outside = {"engine": "fake", "engine_args": {"files": [{"mmproj": "/etc/passwd"}]}}
        refused = await customer.refusal("load", model="n", settings=outside)
        assert (type(refused), refused.param) == (NotAllowed, "engine_args.files[0].mmproj")
        foreign = {"engine": "fake", "engine_args": {"speculative_config": {"Worker-Cls": "os"}}}
        refused = await customer.refusal("load", model="n", settings=foreign)
        expected = (NotAllowed, "engine_args.speculative_config.Worker-Cls")
        assert (type(refused), refused.param) == expected
        harmless = {"engine": "fake", "engine_args": {"trust_remote_code": False}}
        await customer.order("load", model="n", settings=harmless)


@on_loop
async def test_deletion(folder: Path) -> None:
    """Only where it is allowed; the model's own files go, and folders that are empty then."""
    models = folder / "models" / "org"
    models.mkdir(parents=True)
    (models / "m.gguf").write_bytes(b"no GGUF")
    (folder / "models" / "other.gguf").write_bytes(b"no GGUF")
    settings = settings_for(folder, models={"fake": {}})
    async with running(settings) as manager:
        customer = customer_of(manager)
        assert isinstance(await customer.refusal("delete", model="org/m"), NotAllowed)
        manager.settings = settings.model_copy(update={"allow_model_deletion": True})
        assert isinstance(await customer.refusal("delete", model="fake"), NotAllowed)
        gone = await customer.order("delete", model="org/m")
        assert (gone["deleted"], gone["files"]) == (True, ["org/m.gguf"])
        assert [path.name for path in (folder / "models").iterdir()] == ["other.gguf"]
        assert manager.pool.model("org/m") is None


# --- all of it ------------------------------------------------------------------------------------


@on_loop
async def test_events(folder: Path) -> None:
    """States of replicas and changes of the list, numbered; asked for after any of them."""
    async with running(settings_for(folder, models={"a": {}})) as manager:
        customer = customer_of(manager)
        manager.control.snapshot()
        await customer.order("load", model="a")
        await customer.order("load", model="b", settings={"engine": "fake"}, wait=False)
        manager.control.snapshot()
        events = (await customer.order("events.recent", after=0))["events"]
        told = [(event["kind"], event["model"], event["data"].get("state")) for event in events]
        assert told[:2] == [("replica.state", "a", "LOADING"), ("replica.state", "a", "READY")]
        assert ("model.listed", "b", None) in told
        numbers = [event["number"] for event in events]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        later = await customer.order("events.recent", after=numbers[1])
        assert [event["number"] for event in later["events"]] == numbers[2:]


@on_loop
async def test_system_figures(folder: Path) -> None:
    """Measured, with what gateways have counted."""
    from tricorn.manager.protocol import Usage

    async with running(settings_for(folder, models={"a": {}})) as manager:
        customer = customer_of(manager)
        await customer.order("load", model="a")
        manager.desk.usage.add(Usage(2, 1, 3.0, 10, 20))
        figures = await customer.order("system")
        assert (figures["active_models"], figures["total_requests"]) == (1, 2)
        assert figures["avg_response_time"] == 1.5
        assert figures["tokens_per_second"] > 0
        assert 0 < figures["memory_usage"] <= 100
        assert figures["details"]["tricorn_memory_bytes"] > 10**7
        assert figures["details"]["failed_requests"] == 1
