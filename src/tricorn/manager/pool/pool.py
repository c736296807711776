"""The pool: hands out leases, loads models that requests wait for, and makes room for them.

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
from tricorn.errors import (
    Conflict,
    ModelLoadFailed,
    Overloaded,
    ServiceError,
    ShuttingDown,
    TricornError,
    UnsupportedParameter,
)
from tricorn.manager.catalog import adapters
from tricorn.manager.memory.books import MemoryBooks
from tricorn.manager.pool import model_status, waiting
from tricorn.manager.pool.bounds import Bounds, Limits
from tricorn.manager.pool.calls import Call, Holder, Lease
from tricorn.manager.pool.housekeeping import Housekeeper
from tricorn.manager.pool.leases import Leases
from tricorn.manager.pool.listing import Listing
from tricorn.manager.pool.places import MakeReplica, Places
from tricorn.manager.pool.served_model import ServedModel
from tricorn.manager.protocol import ModelInfo, Refused
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
        self.limits = limits
        self._models = models
        self._books = books
        self._scan = scan
        self._on_change = on_change
        self._loop = asyncio.get_running_loop()
        self._places = Places(
            models, books, bounds, make_replica=make_replica, on_change=self._replica_changed
        )
        self._keeper = Housekeeper(models, books, refuse=self._refuse, unload=self._unload_idle)
        self._calls: dict[tuple[Holder, int], Call | Lease] = {}
        self._leases = Leases()
        self._unknown: list[Call] = []
        self._scanning: asyncio.Task[None] | None = None
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
        and meanwhile with progress. weight: of its key's turns. The rest is as in
        `protocol.Acquire`."""
        now = self._loop.time()
        call = Call(holder, number, model, request_id, now, key, prefix, keep_alive_s, weight)
        self._calls[holder, number] = call
        if self._closing is not None:
            self._refuse(call, self._closing)
        elif self._resolve(call):
            self._admit(call)
        elif len(self._unknown) >= max(self.limits.max_waiting, 1):
            self._refuse(call, Overloaded("too many requests for unknown models", retry_after_s=1))
        else:  # the file may have been dropped in just now
            self._unknown.append(call)
            self.rescan()

    def withdraw(self, holder: Holder, number: int) -> None:
        """The caller waits no longer; a lease granted meanwhile is given back."""
        found = self._calls.pop((holder, number), None)
        if isinstance(found, Lease):
            self.release(holder, found.number)
        elif found is not None:
            found.over = True
            if found.served is not None:
                found.served.waiting.remove(found)
            self.wake()

    def release(self, holder: Holder, lease_number: int, *, lost: bool = False) -> None:
        """Give a lease back; nothing where `holder` does not hold it.

        lost: the replica's data socket broke; it is checked before it is leased again.
        """
        lease = self._leases.take_back(holder, lease_number, self._loop.time())
        if lease is None:
            return
        self._calls.pop((holder, lease.call.number), None)
        if lost:
            lease.replica.check()
            if lease.replica.name in lease.served.replicas:
                lease.served.wanted = True  # if it is dead it was in use
        self.wake()

    def drop(self, holder: Holder) -> None:
        """The holder's connection has ended: everything it held or waited for comes back."""
        for key in [key for key in self._calls if key[0] is holder]:
            self.withdraw(holder, key[1])

    # --- what people and the service ask --------------------------------------------------------

    def adopt(self, specs: Mapping[str, ModelSpec]) -> None:
        """Take over what the catalog found; what runs is replaced where it has changed."""
        if self._models.adopt(specs):
            self.wake()

    def rescan(self) -> None:
        """Look at the catalog again, soon."""
        if self._scanning is None and self._closing is None:
            self._scanning = self._loop.create_task(self._rescan())

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
            for call in list(served.waiting):
                self._refuse(call, gone)
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
        self.limits, self._places.bounds = limits, bounds
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
        return len(self._leases)

    def close(self) -> None:
        """Take no more requests; those that wait are refused, those that run go on."""
        retry_s = waiting.DEFAULT_RETRY_S
        self._closing = ShuttingDown("Tricorn is shutting down", retry_after_s=retry_s)
        for found in [found for found in self._calls.values() if isinstance(found, Call)]:
            self._refuse(found, self._closing)
        self._on_change()

    async def wait_idle(self) -> None:
        """Wait until every lease is back. After `close`."""
        if self._leases:
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

    async def _rescan(self) -> None:
        calls: list[Call] = []
        try:
            while True:
                # Calls that come while the scan runs need one that began after them.
                calls, self._unknown = self._unknown, []
                self.adopt(await asyncio.to_thread(self._scan))
                self._admit_all(calls)
                calls = []
                if not self._unknown:
                    return
        except OSError as error:
            log.warning("the models cannot be scanned", error=str(error))
        finally:  # whatever happened, nobody is left waiting for it
            unknown, self._unknown, self._scanning = self._unknown, [], None
            self._admit_all(calls + unknown)

    def _admit_all(self, calls: list[Call]) -> None:
        for call in calls:
            if not call.over:
                self._admit(call)

    def _resolve(self, call: Call) -> bool:
        """Find what a call asks for."""
        call.served, call.adapter = self._models.find(call.model)
        return call.served is not None

    def _admit(self, call: Call) -> None:
        """Grant at once, or queue, or refuse."""
        self._resolve(call)
        served = call.served
        now = self._loop.time()
        if served is None or not (served.listed or served.replicas):
            self._refuse(call, self._models.not_found(call.model))
        elif served.spec.fault is not None and not served.replicas:
            fault = f"the model {call.model} cannot be loaded: {served.spec.fault}"
            self._refuse(call, ModelLoadFailed(fault))
        elif call.adapter is not None and (unable := adapters.engine_fault(served.spec)):
            self._refuse(call, UnsupportedParameter(unable, param="model"))
        elif (refusal := served.refusal(now)) is not None:
            self._refuse(call, refusal)
        elif not served.waiting and self._serve(served, call):
            pass
        elif len(served.waiting) >= self.limits.max_waiting:
            # Where none may wait, the refused ones still bring the model in for later ones.
            served.wanted = served.wanted or not (served.waiting or served.is_leasable())
            self.wake()
            self._refuse(call, waiting.full(served, call.model, now))
        else:
            served.waiting.push(call, call.key, weight=call.weight)
            self.wake()

    def _serve(self, served: ServedModel, call: Call) -> bool:
        """Grant, or refuse; False where it has to wait."""
        if self.limits.max_requests is not None and len(self._leases) >= self.limits.max_requests:
            return False
        replica = served.choose_replica(call.prefix)
        if replica is None:
            return False
        assert replica.loaded is not None
        adapter = None
        if call.adapter is not None:
            adapter = served.adapter(call.adapter)
            if adapter is None:
                self._refuse(call, self._models.not_found(call.model))
                return True
            if not adapters.fits(adapter, replica.loaded):
                if not adapters.helped_by_load(adapter, replica.spec):
                    self._refuse(call, adapters.refusal(call.model, adapter, replica.loaded))
                    return True
                log.info("loading anew for an adapter", model=served.spec.id, adapter=adapter.name)
                self._places.unload(replica, "replaced")
                return False
        if served.waiting.peek() is call:
            served.waiting.pop()
        call.over = True
        lease, granted = self._leases.grant(served, replica, call, adapter, self._loop.time())
        self._calls[call.holder, call.number] = lease
        self._books.note_used(served.spec.id)
        call.holder.answer(granted)
        return True

    def _refuse(self, call: Call, error: TricornError) -> None:
        call.over = True
        self._calls.pop((call.holder, call.number), None)
        if call.served is not None:
            call.served.waiting.remove(call)
        call.holder.answer(Refused(call.number, error.info()))

    def _refuse_all(self, served: ServedModel, error: TricornError) -> None:
        for call in list(served.waiting):
            self._refuse(call, error)

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
                self._refuse_all(served, served.told(now))
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
            self._serve_waiting(served)
            self._keeper.give_up(served, self.limits.max_wait_s, now, due)
            for replica in served.replicas.values():
                if replica.state == "DRAINING" and not replica.leases:
                    self._places.leave(replica)
        if self._closing is None:
            self._keeper.expire(now, due)
            if self._keeper.refuse_what_has_no_room(self._places.arrange(now, due), now, due):
                self.wake()
            self._keeper.tell_progress(now, due)
        elif self._idle is not None and not self._leases and not self._idle.done():
            self._idle.set_result(None)
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(min(due), self.wake) if due else None
        self._on_change()

    def _serve_waiting(self, served: ServedModel) -> None:
        while (call := served.waiting.peek()) is not None:
            if not self._serve(served, call):
                return


async def _all_ended(replicas: list[Replica]) -> None:
    for replica in replicas:
        await replica.ended()


def _waits_since(served: ServedModel) -> float:
    oldest = served.waiting.oldest()
    return math.inf if oldest is None else oldest.since
