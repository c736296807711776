"""Orders about models: load, unload, status, retry, delete."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

import msgspec

from tricorn import logs
from tricorn.engines.spec import ModelSpec
from tricorn.errors import (
    InsufficientMemory,
    InvalidRequest,
    ModelLoadFailed,
    ModelNotFound,
    NotAllowed,
    TricornError,
    from_info,
)
from tricorn.manager.catalog.roots import Roots
from tricorn.manager.desk import deletion, foreign_code
from tricorn.manager.desk.events import Events
from tricorn.manager.desk.orders import Command, Result, Tell
from tricorn.manager.desk.overrides import Overrides, checked
from tricorn.manager.pool.calls import Holder
from tricorn.manager.pool.served_model import ServedModel
from tricorn.manager.protocol.calls import Granted, Progress, Refused
from tricorn.manager.protocol.model_info import ModelInfo
from tricorn.settings.config import Settings

log = logs.get("orders")


class Models(Protocol):
    """What is needed of the pool."""

    def acquire(self, holder: Holder, number: int, model: str, request_id: str) -> None: ...

    def drop(self, holder: Holder) -> None: ...

    def unload(self, model_id: str, *, force: bool = False) -> asyncio.Future[None]: ...

    def status(self, model_id: str) -> dict[str, Any]: ...

    def retry(self, model_id: str) -> None: ...

    def models(self) -> list[ModelInfo]: ...

    def model(self, model_id: str) -> ServedModel | None: ...


Refresh = Callable[[], Awaitable[Mapping[str, ModelSpec]]]
"""Scans the catalog and has the pool adopt what was found; gives it."""


class Load(msgspec.Struct, forbid_unknown_fields=True):
    model: str
    settings: dict[str, Any] = {}
    """Fields of `ModelSettings`, as JSON values."""
    reset: bool = False
    """Forget what loads before this one have said."""
    wait: bool = True
    request_id: str = ""


class Unload(msgspec.Struct, forbid_unknown_fields=True):
    model: str
    force: bool = False


class Named(msgspec.Struct, forbid_unknown_fields=True):
    model: str


FIELDS = {"path": "model_path", "engine": "engine_type"}
"""Settings that `POST /v1/models/load` has other names for."""


class Visitor:
    """Takes a lease and gives it back: a load that is queued, bounded and told of like others'."""

    def __init__(self, models: Models, tell: Tell) -> None:
        self._models = models
        self._tell = tell
        self._granted: asyncio.Future[Granted] = asyncio.get_running_loop().create_future()

    def answer(self, message: Granted | Refused | Progress) -> None:
        if isinstance(message, Progress):
            self._tell(message.text, message.share, message.eta_s)
        elif self._granted.done():
            return
        elif isinstance(message, Granted):
            self._granted.set_result(message)
        else:
            self._granted.set_exception(from_info(message.error))

    async def visit(self, model: str, request_id: str) -> None:
        """Until it is loaded; TricornError where it cannot be."""
        self._models.acquire(self, 1, model, request_id)
        try:
            await self._granted
        finally:
            self._models.drop(self)


class ModelOrders:
    """All of them; `commands` for the dispatcher."""

    def __init__(
        self,
        models: Models,
        overrides: Overrides,
        refresh: Refresh,
        settings: Callable[[], Settings],
        events: Events,
    ) -> None:
        """settings: those that hold now."""
        self._models = models
        self._overrides = overrides
        self._refresh = refresh
        self._settings = settings
        self._events = events
        self._changing = asyncio.Lock()
        self._unwatched: set[asyncio.Task[None]] = set()
        """Loads that nobody waits for."""
        self._numbers = itertools.count(1)

    def commands(self) -> dict[str, Command[Any]]:
        return {
            "load": Command(Load, self.load),
            "unload": Command(Unload, self.unload),
            "status": Command(Named, self.status),
            "retry": Command(Named, self.retry),
            "delete": Command(Named, self.delete),
        }

    async def load(self, order: Load, tell: Tell) -> Result:
        """Its status, once it is loaded; without `wait` at once.

        Options with which it cannot be loaded are taken back, where that was waited for.
        """
        changed = await self._change(order) if order.settings or order.reset else None
        try:
            return await self.start(order.model, tell, wait=order.wait, request_id=order.request_id)
        except (ModelLoadFailed, InsufficientMemory):
            if changed is not None:
                async with self._changing:
                    await self._restore(*changed)
            raise

    async def start(self, model: str, tell: Tell, *, wait: bool, request_id: str = "") -> Result:
        """Load it as it is listed."""
        visit = Visitor(self._models, tell).visit(
            model, request_id or f"load-{next(self._numbers)}"
        )
        if wait:
            await visit
            await self._renewed(model, tell)
        else:
            task = asyncio.get_running_loop().create_task(_unwatched(visit, model))
            self._unwatched.add(task)
            task.add_done_callback(self._unwatched.discard)
            await asyncio.sleep(0)  # it has asked then, and shows in the status
        return self._status(model)

    async def unload(self, order: Unload, tell: Tell) -> Result:
        # The future is the pool's: an order that is withdrawn must not end it.
        await asyncio.shield(self._models.unload(order.model, force=order.force))
        return self._models.status(order.model)

    async def status(self, order: Named, tell: Tell) -> Result:
        return self._status(order.model)

    async def retry(self, order: Named, tell: Tell) -> Result:
        self._models.retry(order.model)
        return self._models.status(order.model)

    async def delete(self, order: Named, tell: Tell) -> Result:
        """Unload it and remove its files."""
        if not self._settings().allow_model_deletion:
            raise NotAllowed(
                "This server does not delete models' files; ALLOW_MODEL_DELETION=true allows it."
            )
        async with self._changing:
            model_id = str(self._models.status(order.model)["id"])
            served = self._models.model(model_id)
            assert served is not None
            specs = await self._refresh()
            plan = deletion.plan(served.spec, specs, self._settings().model_base_path)
            await asyncio.shield(self._models.unload(model_id, force=True))
            await asyncio.to_thread(deletion.carry_out, plan)
            self._overrides.set_options(model_id, None)
            self._overrides.keep_options(model_id)
            await self._refresh()
        return {"id": model_id, "object": "model", "deleted": True, "files": plan.names()}

    def _status(self, name: str) -> Result:
        """An adapter's is its model's. ModelNotFound."""
        parents = {model.id: model.parent for model in self._models.models() if model.parent}
        return self._models.status(parents.get(name) or name)

    async def _renewed(self, model: str, tell: Tell) -> None:
        """Until none of its replicas is of settings that hold no more."""
        served = self._models.model(model)
        while served is not None and served.stale() and served.listed:
            if served.failure is not None:
                raise served.failure
            tell("replacing what runs with other settings")
            await self._events.next()

    async def _change(self, order: Load) -> tuple[str, dict[str, Any] | None]:
        """Make or change its entry; as before where that makes it unusable.

        The entry's name, and what loads had said of it before.
        """
        async with self._changing:
            known = self._models.model(order.model)
            if known is None:  # its file may have been dropped in just now
                await self._refresh()
                known = self._models.model(order.model)
            if known is None and not _makes_a_model(order.settings):
                self._models.status(order.model)  # raises, and names those that there are
            name = known.spec.id if known is not None else order.model
            if name in self._overrides.instances():
                raise InvalidRequest(
                    f"'{name}' is an instance: its parameters are those that it was made with.",
                    param="model_name",
                )
            before = self._overrides.options(name)
            settings = self._told(name, order, {} if order.reset else before or {})
            self._overrides.set_options(name, settings)
            try:
                spec = (await self._refresh()).get(name)
                if spec is not None and spec.fault is not None and order.settings:
                    raise InvalidRequest(f"The model {name} cannot be loaded so: {spec.fault}.")
            except BaseException:
                await self._restore(name, before)
                raise
            self._overrides.keep_options(name)
            await self._overrides.saved()
            if spec is None:
                raise ModelNotFound(
                    f"The model '{name}' was only what loads had said of it, and is gone.",
                    param="model",
                )
        return name, before

    async def _restore(self, name: str, options: dict[str, Any] | None) -> None:
        self._overrides.set_options(name, options)
        self._overrides.keep_options(name)
        await self._refresh()

    def _told(self, name: str, order: Load, before: dict[str, Any]) -> dict[str, Any]:
        """The settings that its entry is to have. InvalidRequest, NotAllowed."""
        settings, given = self._settings(), dict(order.settings)
        merged = before | given
        if "engine_args" in before and "engine_args" in given:
            merged["engine_args"] = before["engine_args"] | given["engine_args"]
        entry, defaults = settings.models.get(name), settings.model_defaults
        checked(entry, merged, defaults, lambda setting: FIELDS.get(setting, setting))
        roots = Roots.of(settings)
        if "path" in given:
            merged["path"] = str(roots.model(given["path"], param="model_path"))
        roots.check_arguments(given.get("engine_args", {}), param="engine_args")
        foreign_code.refuse(given.get("engine_args", {}), param="engine_args")
        return merged


def _makes_a_model(settings: Mapping[str, Any]) -> bool:
    """Whether there is a model by that name once it has these."""
    return "path" in settings or settings.get("engine") == "fake"


async def _unwatched(visit: Awaitable[None], model: str) -> None:
    try:
        await visit
    except TricornError as error:  # its status tells it too
        log.warning("a load failed", model=model, error=error.message)
