"""The pool: hands out leases, loads models that requests wait for, and makes room for them.

All of it runs on the event loop, in short steps that never wait. Whatever happens (a request, a
lease given back, a replica's change, a timer) ends in `_pump`, which brings the pool from any state
to the next: it grants what can be granted, gives up calls that waited too long, and starts and ends
replicas. Loads are single-flight because a model has one place for a replica, and fair because
calls are granted first come first.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections.abc import Callable, Mapping

from tricorn import logs
from tricorn.engines.spec import Adapter, ModelSpec
from tricorn.errors import (
    EngineLost,
    ModelLoadFailed,
    Overloaded,
    ShuttingDown,
    TricornError,
    UnsupportedParameter,
)
from tricorn.manager import adapters
from tricorn.manager.listing import Listing
from tricorn.manager.places import MakeReplica, Places
from tricorn.manager.protocol import Granted, ModelInfo, Refused
from tricorn.manager.replica import Replica
from tricorn.manager.served_model import Call, Holder, Lease, ServedModel

PATIENCE_S = 2.0
"""How long a model in use may keep a waiting one out before it takes no new requests."""
DEFAULT_RETRY_S = 5.0

log = logs.get("pool")


class Pool:
    def __init__(
        self,
        *,
        scan: Callable[[], Mapping[str, ModelSpec]],
        make_replica: MakeReplica,
        max_models: int,
        max_parked: int,
        max_waiting: int,
        max_wait_s: float,
        on_change: Callable[[], None],
        patience_s: float = PATIENCE_S,
    ) -> None:
        """scan: the catalog's; blocks, so it is called in a thread. on_change: for snapshots."""
        self._scan = scan
        self._max_waiting = max_waiting
        self._max_wait_s = max_wait_s
        self._on_change = on_change
        self._loop = asyncio.get_running_loop()
        self._models = Listing()
        self._places = Places(
            self._models,
            make_replica=make_replica,
            max_models=max_models,
            max_parked=max_parked,
            patience_s=patience_s,
            on_change=self._replica_changed,
        )
        self._calls: dict[tuple[Holder, int], Call | Lease] = {}
        self._leases: dict[int, Lease] = {}
        # From a random start: a gateway that gives back a lease of the manager before this one
        # must not hit one of ours.
        self._lease_numbers = itertools.count(secrets.randbits(40) << 20)
        self._unknown: list[Call] = []
        self._scanning: asyncio.Task[None] | None = None
        self._woken = False
        self._timer: asyncio.TimerHandle | None = None
        self._closing: ShuttingDown | None = None
        self._idle: asyncio.Future[None] | None = None

    # --- what gateways ask --------------------------------------------------------------------

    def acquire(self, holder: Holder, number: int, model: str, request_id: str) -> None:
        """Ask for a lease; `holder.answer` is called with it, or with the refusal, now or later."""
        call = Call(holder, number, model, request_id, self._loop.time())
        self._calls[holder, number] = call
        if self._closing is not None:
            self._refuse(call, self._closing)
        elif self._resolve(call):
            self._admit(call)
        elif len(self._unknown) >= max(self._max_waiting, 1):
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
                found.served.waiting.pop(found, None)
            self.wake()

    def release(self, holder: Holder, lease_number: int, *, lost: bool = False) -> None:
        """Give a lease back; nothing where `holder` does not hold it.

        lost: the replica's data socket broke; it is checked before it is leased again.
        """
        lease = self._leases.get(lease_number)
        if lease is None or lease.call.holder is not holder:
            return
        del self._leases[lease_number]
        self._calls.pop((holder, lease.call.number), None)
        lease.replica.leases -= 1
        lease.served.last_used = self._loop.time()
        if lost:
            lease.replica.check()
            if lease.replica is lease.served.replica:
                lease.served.wanted = True  # if it is dead it was in use
        self.wake()

    def drop(self, holder: Holder) -> None:
        """The holder's connection has ended: everything it held or waited for comes back."""
        for key in [key for key in self._calls if key[0] is holder]:
            self.withdraw(holder, key[1])

    # --- what the service asks ----------------------------------------------------------------

    def adopt(self, specs: Mapping[str, ModelSpec]) -> None:
        """Take over what the catalog found. Loaded models are left as they are."""
        if self._models.adopt(specs):
            self.wake()

    def rescan(self) -> None:
        """Look at the catalog again, soon."""
        if self._scanning is None and self._closing is None:
            self._scanning = self._loop.create_task(self._rescan())

    def preload(self, model_id: str) -> None:
        """Load a model that nobody waits for, if there is a place free."""
        served = self._models.get(model_id)
        assert served is not None, "the service picks it from the catalog"
        served.wanted = True
        self.wake()

    def models(self) -> list[ModelInfo]:
        """Every model and every adapter, by id; where both have the same one, the model."""
        return self._models.infos()

    def model(self, model_id: str) -> ServedModel | None:
        return self._models.get(model_id)

    def replica(self, name: str) -> Replica | None:
        """The replica of that name, while its process lives."""
        return self._places.replica(name)

    def lease_count(self) -> int:
        return len(self._leases)

    def close(self) -> None:
        """Take no more requests; those that wait are refused, those that run go on."""
        self._closing = ShuttingDown("Tricorn is shutting down", retry_after_s=DEFAULT_RETRY_S)
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

    # --- inside -------------------------------------------------------------------------------

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
        if served is None or not (served.listed or served.replica):
            self._refuse(call, self._models.not_found(call.model))
        elif served.spec.fault is not None and served.replica is None:
            fault = f"the model {call.model} cannot be loaded: {served.spec.fault}"
            self._refuse(call, ModelLoadFailed(fault))
        elif call.adapter is not None and (unable := adapters.engine_fault(served.spec)):
            self._refuse(call, UnsupportedParameter(unable, param="model"))
        elif (refusal := served.refusal(now)) is not None:
            self._refuse(call, refusal)
        elif served.is_leasable() and not served.waiting:
            self._serve(served, call)
        elif len(served.waiting) >= self._max_waiting:
            # Where none may wait, the refused ones still bring the model in for later ones.
            served.wanted = served.wanted or not served.waiting
            self.wake()
            text = f"{len(served.waiting)} requests are waiting for the model {call.model} already"
            self._refuse(call, Overloaded(text, retry_after_s=served.load_s or DEFAULT_RETRY_S))
        else:
            served.waiting[call] = None
            self.wake()

    def _serve(self, served: ServedModel, call: Call) -> bool:
        """Grant, or refuse; False where it waits on, for the model to be loaded anew."""
        replica = served.replica
        assert replica is not None
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
                served.waiting[call] = None
                self._places.unload(served)
                return False
        served.waiting.pop(call, None)
        self._grant(served, call, adapter)
        return True

    def _grant(self, served: ServedModel, call: Call, adapter: Adapter | None) -> None:
        replica = served.replica
        assert replica is not None
        assert replica.loaded is not None
        lease = Lease(next(self._lease_numbers), call, served, replica)
        call.over = True
        replica.leases += 1
        served.last_used = self._loop.time()
        self._leases[lease.number] = self._calls[call.holder, call.number] = lease
        call.holder.answer(
            Granted(
                call=call.number,
                lease=lease.number,
                address=replica.address,
                secret=replica.data_secret,
                model_id=call.model,
                model=replica.loaded,
                adapter=adapter,
            )
        )

    def _refuse(self, call: Call, error: TricornError) -> None:
        call.over = True
        self._calls.pop((call.holder, call.number), None)
        if call.served is not None:
            call.served.waiting.pop(call, None)
        call.holder.answer(Refused(call.number, error.info()))

    def _replica_changed(self, replica: Replica) -> None:
        served = self._models.get(replica.spec.id)
        assert served is not None, "a model is kept as long as it has a replica"
        now = self._loop.time()
        if replica.gone:
            self._places.gone(replica)
            if served.replica is replica:
                served.replica = None
                self._models.forget_unlisted(served)
        elif replica.state == "READY":
            served.note_ready(replica, now)
        elif replica.state == "FAILED":
            served.note_failed(replica, now)
            if replica.failed_loading and self._places.unload_parked():
                # What they still held of the device may be what was missing: once more, at once.
                served.wanted, served.retry_at = True, now
            elif replica.failed_loading and replica.failure is not None:
                for call in list(served.waiting):
                    self._refuse(call, self._told(served, now))
        self.wake()

    def _told(self, served: ServedModel, now: float) -> TricornError:
        failure = served.failure or EngineLost(f"the model {served.spec.id} failed")
        return type(failure)(failure.message, retry_after_s=round(served.retry_at - now, 1))

    # --- the pump -----------------------------------------------------------------------------

    def wake(self) -> None:
        """Run the pump once, soon, however often this is called before."""
        if not self._woken:
            self._woken = True
            self._loop.call_soon(self._pump)

    def _pump(self) -> None:
        self._woken = False
        now = self._loop.time()
        due: list[float] = []
        for served in self._models:
            self._expire(served, now, due)
            if served.is_leasable():
                served.wanted = False
                for call in list(served.waiting):
                    if not self._serve(served, call):
                        break
            elif (
                served.replica and served.replica.state == "DRAINING" and not served.replica.leases
            ):
                served.replica.leave()
        if self._closing is None:
            ask_again = self._places.arrange(now)
            if ask_again is not None:
                due.append(ask_again)
        elif self._idle is not None and not self._leases and not self._idle.done():
            self._idle.set_result(None)
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(min(due), self.wake) if due else None
        self._on_change()

    def _expire(self, served: ServedModel, now: float, due: list[float]) -> None:
        """Give up calls that waited too long; the oldest stands first."""
        for call in list(served.waiting):
            deadline = call.since + self._max_wait_s
            if deadline > now:
                due.append(deadline)
                return
            text = f"no place for the model {call.model} came free within {self._max_wait_s:g} s"
            self._refuse(call, Overloaded(text, retry_after_s=DEFAULT_RETRY_S))
