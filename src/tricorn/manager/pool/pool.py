"""The pool: hands out leases, loads models that requests wait for, and makes room for them.

    lending.py       grants leases, queues calls, refuses them
    rescans.py       looks at the catalog again, for models that are new
    places.py        starts and ends replicas, by a plan for the room that there is
    housekeeping.py  refuses what has waited too long, unloads what was idle too long

All of it runs on the event loop, in short steps that never wait. Whatever happens (a request, a
lease given back, a replica's change, a timer) ends in `_pump`, which brings the pool from any state
to the next: it grants what can be granted, gives up calls that waited too long, and starts and ends
replicas. Loads are single-flight because only the pump starts them, for all that wait.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping
from typing import Any

from tricorn import logs
from tricorn.engines.spec import ModelSpec
from tricorn.errors import Conflict, Overloaded, ServiceError, ShuttingDown
from tricorn.manager.memory.books import MemoryBooks
from tricorn.manager.pool import model_status, waiting
from tricorn.manager.pool.bounds import Bounds, Limits
from tricorn.manager.pool.calls import Call, Holder
from tricorn.manager.pool.housekeeping import Housekeeper
from tricorn.manager.pool.lending import Lending
from tricorn.manager.pool.listing import Listing
from tricorn.manager.pool.places import MakeReplica, Places
from tricorn.manager.pool.rescans import Rescans
from tricorn.manager.pool.served_model import ServedModel
from tricorn.manager.protocol.model_info import ModelInfo
from tricorn.manager.replicas.replica import Replica

log = logs.get("pool")


class Pool:
    def __init__(
        self,
        models: Listing,
        books: MemoryBooks,
        *,
        scan: Callable[[], Mapping[str, ModelSpec]],
        make_replica: MakeReplica,
        limits: Limits,
        bounds: Bounds,
        on_change: Callable[[], None],
    ) -> None:
        """scan: the catalog's; blocks, so it is called in a thread. on_change: for snapshots."""
        self._models = models
        self._books = books
        self._on_change = on_change
        self._loop = asyncio.get_running_loop()
        self._places = Places(
            models, books, bounds, make_replica=make_replica, on_change=self._replica_changed
        )
        self._lending = Lending(models, books, limits, unload=self._places.unload, wake=self.wake)
        self._rescans = Rescans(scan, adopt=self.adopt, admit=self._lending.admit)
        self._keeper = Housekeeper(
            models, books, refuse=self._lending.refuse, unload=self._unload_idle
        )
        self._woken = False
        self._timer: asyncio.TimerHandle | None = None
        self._closing: ShuttingDown | None = None
        self._idle: asyncio.Future[None] | None = None

    # --- what gateways ask ----------------------------------------------------------------------

    def acquire(
        self,
        holder: Holder,
        number: int,
        model: str,
        request_id: str,
        *,
        key: str = "",
        prefix: tuple[int, ...] = (),
        keep_alive_s: float | None = None,
        weight: float = 1.0,
    ) -> None:
        """Ask for a lease; `holder.answer` is called with it, or with the refusal, now or later,
        and meanwhile with progress. weight: of its key's turns. The rest is as in `Acquire`."""
        now = self._loop.time()
        call = Call(holder, number, model, request_id, now, key, prefix, keep_alive_s, weight)
        known = self._lending.note(call)
        if self._closing is not None:
            self._lending.refuse(call, self._closing)
        elif known:
            self._lending.admit(call)
        elif self._rescans.waiting() >= max(self._lending.limits.max_waiting, 1):
            error = Overloaded("too many requests for unknown models", retry_after_s=1)
            self._lending.refuse(call, error)
        else:  # the file may have been dropped in just now
            self._rescans.wait(call)

    def withdraw(self, holder: Holder, number: int) -> None:
        """The caller waits no longer; a lease granted meanwhile is given back."""
        self._lending.withdraw(holder, number)

    def release(self, holder: Holder, lease_number: int, *, lost: bool = False) -> None:
        """Give a lease back; nothing where `holder` does not hold it.

        lost: the replica's data socket broke; it is checked before it is leased again.
        """
        self._lending.release(holder, lease_number, lost=lost)

    def drop(self, holder: Holder) -> None:
        """The holder's connection has ended: everything it held or waited for comes back."""
        self._lending.drop(holder)

    # --- what people and the service ask --------------------------------------------------------

    def adopt(self, specs: Mapping[str, ModelSpec]) -> None:
        """Take over what the catalog found; what runs is replaced where it has changed."""
        if self._models.adopt(specs):
            self.wake()

    def rescan(self) -> None:
        """Look at the catalog again, soon."""
        if self._closing is None:
            self._rescans.soon()

    def preload(self, model_id: str) -> None:
        """Load a model that nobody waits for, if there is a place free."""
        self._known(model_id).wanted = True
        self.wake()

    def unload(self, model_id: str, *, force: bool = False) -> asyncio.Future[None]:
        """Unload it, once its requests are done, or at once with `force`; done when its processes
        are gone. ModelNotFound; Conflict for a pinned one without `force`."""
        served = self._known(model_id)
        if served.spec.serving.pinned and not force:
            raise Conflict(f"the model {model_id} is pinned; unload it with force", param="model")
        log.info("unloading as asked", model=model_id, force=force)
        if force:
            gone = ServiceError(f"the model {model_id} was unloaded")
            self._lending.refuse_waiting(served, gone)
        done = self._unload_all(served, "asked", force=force)
        self.wake()
        return done

    def retry(self, model_id: str) -> None:
        """Forget what has failed: its next load may begin at once. ModelNotFound."""
        self._known(model_id).forgive()
        self.wake()

    def status(self, model_id: str) -> dict[str, Any]:
        """All there is to know of a model and its replicas, for JSON. ModelNotFound."""
        return model_status.of(self._known(model_id), self._books, self._loop.time())

    def configure(self, limits: Limits, bounds: Bounds) -> None:
        """Go by these from now on."""
        self._lending.limits, self._places.bounds = limits, bounds
        self.wake()

    def models(self) -> list[ModelInfo]:
        """Every model and every adapter, by id; where both have the same one, the model."""
        return self._models.infos()

    def model(self, name: str) -> ServedModel | None:
        """By id or alias."""
        return self._models.get(name)

    def served(self) -> list[ServedModel]:
        """Every model, listed or still in memory."""
        return list(self._models)

    def label(self, name: str) -> tuple[str, str]:
        """The id of what a request for `name` would get, and its engine; both empty where there is
        no such."""
        served, adapter = self._models.find(name)
        if served is None or (adapter is not None and served.adapter(adapter) is None):
            return "", ""
        model = served.spec.id if adapter is None else f"{served.spec.id}:{adapter}"
        return model, served.spec.engine

    def replicas(self) -> list[Replica]:
        """All whose process lives."""
        return self._places.replicas()

    def replica(self, name: str) -> Replica | None:
        """The replica of that name, while its process lives."""
        return self._places.replica(name)

    def lease_count(self) -> int:
        return self._lending.lease_count()

    def close(self) -> None:
        """Take no more requests; those that wait are refused, those that run go on."""
        retry_s = waiting.DEFAULT_RETRY_S
        self._closing = ShuttingDown("Tricorn is shutting down", retry_after_s=retry_s)
        self._lending.refuse_all(self._closing)
        self._on_change()

    async def wait_idle(self) -> None:
        """Wait until every lease is back. After `close`."""
        if self.lease_count():
            self._idle = self._loop.create_future()
            await self._idle

    async def stop(self) -> None:
        """End every replica, asking first; bounded."""
        await self._places.stop()
        if self._timer is not None:
            self._timer.cancel()

    def kill(self) -> None:
        """End every replica now."""
        self._places.kill()

    # --- inside ---------------------------------------------------------------------------------

    def _known(self, name: str) -> ServedModel:
        served = self._models.get(name)
        if served is None:
            raise self._models.not_found(name)
        return served

    def _unload_idle(self, served: ServedModel) -> None:
        self._unload_all(served, "idle")

    def _unload_all(
        self, served: ServedModel, reason: str, *, force: bool = False
    ) -> asyncio.Future[None]:
        """End all its replicas; done when they are gone."""
        served.wanted, served.keep_alive_s = False, None
        replicas = list(served.replicas.values())
        for replica in replicas:
            if force:
                replica.unload_reason = replica.unload_reason or reason
                replica.stop()
            elif not replica.is_leaving() or replica.is_parked():
                self._places.unload(replica, reason)
        return asyncio.ensure_future(_all_ended(replicas))

    def _replica_changed(self, replica: Replica) -> None:
        served = self._models.get(replica.spec.id)
        assert served is not None, "a model is kept as long as it has a replica"
        now = self._loop.time()
        if replica.gone:
            self._places.gone(served, replica)
            self._models.forget_unlisted(served)
        elif replica.state == "READY":
            served.note_ready(replica, now)
            self._places.ready(served, replica)
        elif replica.state == "PARKED":
            self._places.parked(replica)
        elif replica.state == "FAILED":
            served.note_failed(replica, now)
            if replica.failed_loading and self._places.unload_parked():
                # What they still held of the device may be what was missing: once more, at once.
                served.wanted, served.retry_at = True, now
            elif not served.is_leasable() and served.is_hopeless():
                self._lending.refuse_waiting(served, served.told(now))
        self.wake()

    # --- the pump -------------------------------------------------------------------------------

    def wake(self) -> None:
        """Run the pump once, soon, however often this is called before."""
        if not self._woken:
            self._woken = True
            self._loop.call_soon(self._pump)

    def _pump(self) -> None:
        self._woken = False
        now = self._loop.time()
        due: list[float] = []
        for served in sorted(self._models, key=_waits_since):
            if served.is_leasable():
                served.wanted = False
            self._lending.serve_waiting(served)
            self._keeper.give_up(served, self._lending.limits.max_wait_s, now, due)
            for replica in served.replicas.values():
                if replica.state == "DRAINING" and not replica.leases:
                    self._places.leave(replica)
        if self._closing is None:
            self._keeper.expire(now, due)
            if self._keeper.refuse_what_has_no_room(self._places.arrange(now, due), now, due):
                self.wake()
            self._keeper.tell_progress(now, due)
        elif self._idle is not None and not self.lease_count() and not self._idle.done():
            self._idle.set_result(None)
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(min(due), self.wake) if due else None
        self._on_change()


async def _all_ended(replicas: list[Replica]) -> None:
    for replica in replicas:
        await replica.ended()


def _waits_since(served: ServedModel) -> float:
    oldest = served.waiting.oldest()
    return math.inf if oldest is None else oldest.since
