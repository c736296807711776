"""Named instances: entries of the catalog beside a model's own, with start-up parameters of their
own, which end by themselves when nobody uses them.

The instance ID of a model is the entry MODEL@ID: the same files, the same replicas and leases.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import re
import secrets
import time
from collections.abc import Callable
from typing import Any

import msgspec

from tricorn import logs
from tricorn.errors import (
    Conflict,
    InstanceNotFound,
    InvalidRequest,
    NotAllowed,
    TooManyRequests,
    TricornError,
)
from tricorn.manager.catalog.roots import Roots
from tricorn.manager.desk import foreign_code
from tricorn.manager.desk.events import Events
from tricorn.manager.desk.model_orders import ModelOrders, Models, Refresh
from tricorn.manager.desk.orders import Command, Result, Tell
from tricorn.manager.desk.overrides import Overrides, checked
from tricorn.manager.protocol.model_info import ModelInfo
from tricorn.settings.config import ModelSettings, Settings

log = logs.get("instances")

LOOK_S = 1.0
"""How soon after its time an instance ends."""
OWN = frozenset(
    {
        "context_length",
        "max_num_seqs",
        "prefill_budget",
        "threads",
        "enable_caching",
        "cache_size",
        "replicas",
        "max_leases",
        "pinned",
        "shrink_context",
        "gpus",
        "cpus",
        "numa_node",
    }
)
"""Parameters that mean the same on every engine; all others are the engine's own."""
NOT_INHERITED = {"aliases", "preload", "ttl", "replicas", "pinned", "path", "repo", "format"}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Create(msgspec.Struct, forbid_unknown_fields=True):
    model: str
    params: dict[str, Any] = {}
    ttl: float | None = None
    """Seconds without a request; below 0: for ever; None: INSTANCE_TTL."""
    name: str | None = None
    wait: bool = True


class Which(msgspec.Struct, forbid_unknown_fields=True):
    id: str


class Nothing(msgspec.Struct, forbid_unknown_fields=True):
    pass


class Instances:
    def __init__(
        self,
        models: Models,
        overrides: Overrides,
        orders: ModelOrders,
        refresh: Refresh,
        settings: Callable[[], Settings],
        events: Events,
    ) -> None:
        self._models = models
        self._overrides = overrides
        self._orders = orders
        self._refresh = refresh
        self._settings = settings
        self._events = events
        self._ending: dict[str, str] = {}
        """Those that are no entries any more and may still run, each with its model."""
        self._known_since: dict[str, float] = {}
        """On the event loop's clock."""

    def commands(self) -> dict[str, Command[Any]]:
        return {
            "instances.create": Command(Create, self.create),
            "instances.list": Command(Nothing, self.all),
            "instances.get": Command(Which, self.get),
            "instances.delete": Command(Which, self.delete),
        }

    async def create(self, order: Create, tell: Tell) -> Result:
        """It is there when it is loaded; one that cannot be loaded is gone again."""
        instance = self._new_id(order.name)
        base = self._models.model(str(self._models.status(order.model)["id"]))
        assert base is not None
        if base.spec.id in self._overrides.instances():
            raise InvalidRequest(
                f"'{base.spec.id}' is an instance itself; name the model.", param="model_name"
            )
        model_id = f"{base.spec.id}@{instance}"
        self._overrides.put_instance(
            model_id,
            {
                "id": instance,
                "model": base.spec.id,
                "params": order.params,
                "ttl": self._ttl(order.ttl),
                "created": int(time.time()),
                "settings": self._entry(base.spec.id, base.spec.path, base.spec.engine, order),
            },
        )
        try:
            spec = (await self._refresh())[model_id]
            if spec.fault is not None:
                raise InvalidRequest(f"The instance cannot be started: {spec.fault}.")
            await self._orders.start(model_id, tell, wait=order.wait)
        except BaseException:
            await self._remove(model_id)
            raise
        self._overrides.keep_instance(model_id)
        await self._overrides.saved()
        self._events.emit("instance.created", model_id, instance=instance)
        return self._shape(model_id)

    async def all(self, order: Nothing, tell: Tell) -> Result:
        return {
            "object": "list",
            "data": [self._shape(model_id) for model_id in self._overrides.instances()],
        }

    async def get(self, order: Which, tell: Tell) -> Result:
        return self._shape(self._find(order.id))

    async def delete(self, order: Which, tell: Tell) -> Result:
        model_id = self._find(order.id)
        await self._end(model_id, "deleted")
        return {"id": order.id, "object": "instance", "deleted": True}

    async def watch(self) -> None:
        """End those that nobody uses any more; for ever."""
        while True:
            await asyncio.sleep(LOOK_S)
            for model_id in self._expired():
                try:
                    await self._end(model_id, "expired")
                except OSError as error:  # the models cannot be scanned; it is gone all the same
                    log.warning("after the end of an instance", error=str(error))

    def marked(self, models: list[ModelInfo]) -> list[ModelInfo]:
        """Instances, and their adapters, as such."""
        known = self._ending | {
            name: str(facts["model"]) for name, facts in self._overrides.instances().items()
        }
        if not known:
            return models
        return [
            msgspec.structs.replace(model, instance_of=known[name])
            if (name := model.parent or model.id) in known
            else model
            for model in models
        ]

    # --- inside -------------------------------------------------------------------------------

    def _new_id(self, name: str | None) -> str:
        there = [facts["id"] for facts in self._overrides.instances().values()]
        most = self._settings().max_instances
        if most == 0:
            raise NotAllowed("This server makes no instances; MAX_INSTANCES allows some.")
        if len(there) >= most:
            raise TooManyRequests(
                f"There are {len(there)} instances already, and MAX_INSTANCES is {most}: end one "
                "by DELETE /instances/ID."
            )
        if name is None:
            return secrets.token_hex(4)
        if not _NAME.fullmatch(name):
            raise InvalidRequest(
                "Invalid value for 'name': up to 64 letters, digits, '.', '_' and '-', beginning "
                "with a letter or digit.",
                param="name",
            )
        if name in there:
            raise Conflict(f"There is an instance {name!r} already.", param="name")
        return name

    def _ttl(self, given: float | None) -> float | None:
        """Seconds; None: for ever."""
        ttl = self._settings().instance_ttl if given is None else given
        return None if ttl < 0 or math.isinf(ttl) else ttl

    def _entry(self, model: str, path: str, engine: str, order: Create) -> dict[str, Any]:
        """Its settings: the model's own, and the parameters over them."""
        own = {name: value for name, value in order.params.items() if name in OWN}
        of_engine = {name: value for name, value in order.params.items() if name not in OWN}
        Roots.of(self._settings()).check_arguments(of_engine, param="params")
        foreign_code.refuse(of_engine, param="params")
        entry = self._overrides.entries(self._settings()).get(model)
        inherited: dict[str, Any] = {}
        if entry is not None:
            inherited = {
                name: value
                for name, value in entry.model_dump(mode="json", exclude_unset=True).items()
                if name not in NOT_INHERITED
            }
        checked(
            ModelSettings.model_validate(inherited),
            own,
            self._settings().model_defaults,
            lambda name: f"params.{name}",
        )
        arguments = inherited.get("engine_args", {}) | of_engine
        settings = inherited | own | {"engine": engine, "engine_args": arguments}
        settings["ttl"] = "never"  # it ends as a whole, by `watch`
        if path:
            settings["path"] = path
        return settings | {"preload": True}

    def _find(self, instance: str) -> str:
        for model_id, facts in self._overrides.instances().items():
            if facts["id"] == instance:
                return model_id
        raise InstanceNotFound(f"There is no instance '{instance[:100]}'.")

    def _shape(self, model_id: str) -> Result:
        facts = self._overrides.instances()[model_id]
        status = self._models.status(model_id)
        left_s = self._left_s(model_id)
        return {
            "id": facts["id"],
            "object": "instance",
            "model": facts["model"],
            "model_id": model_id,
            "params": facts["params"],
            "ttl": facts["ttl"],
            "created": facts["created"],
            "expires_at": None if left_s is None else round(time.time() + left_s, 3),
            "state": status["state"],
            "url": f"/proxy/{facts['id']}/v1",
            "status": status,
        }

    def _left_s(self, model_id: str) -> float | None:
        """Until it ends, if nobody uses it; None: for ever, or it is used now."""
        ttl, served = self._overrides.instances()[model_id]["ttl"], self._models.model(model_id)
        now = asyncio.get_running_loop().time()
        # After a restart of Tricorn its time begins anew.
        since = self._known_since.setdefault(model_id, now)
        if ttl is None or served is None or not served.is_idle():
            return None
        return max(0.0, max(since, served.last_used) + float(ttl) - now)

    def _expired(self) -> list[str]:
        return [one for one in self._overrides.instances() if self._left_s(one) == 0.0]

    async def _end(self, model_id: str, why: str) -> None:
        facts = self._overrides.instances().get(model_id)
        if facts is None:
            return  # it has ended meanwhile
        await self._remove(model_id)
        self._events.emit(f"instance.{why}", model_id, instance=facts["id"])

    async def _remove(self, model_id: str) -> None:
        self._ending[model_id] = str(self._overrides.instances()[model_id]["model"])
        self._overrides.drop_instance(model_id)
        self._known_since.pop(model_id, None)
        try:
            with contextlib.suppress(TricornError):  # it is gone already
                await asyncio.shield(self._models.unload(model_id, force=True))
            await self._refresh()
        finally:
            del self._ending[model_id]
