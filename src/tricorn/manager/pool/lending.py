"""Lends replicas to calls: each gets a lease, waits in its model's queue, or is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tricorn import logs
from tricorn.errors import ModelLoadFailed, TricornError, UnsupportedParameter
from tricorn.manager.catalog import adapters
from tricorn.manager.memory.books import MemoryBooks
from tricorn.manager.pool import waiting
from tricorn.manager.pool.bounds import Limits
from tricorn.manager.pool.calls import Call, Holder, Lease
from tricorn.manager.pool.leases import Leases
from tricorn.manager.pool.listing import Listing
from tricorn.manager.pool.served_model import ServedModel
from tricorn.manager.protocol.calls import Refused
from tricorn.manager.replicas.replica import Replica

log = logs.get("pool")


class Lending:
    def __init__(
        self,
        models: Listing,
        books: MemoryBooks,
        limits: Limits,
        *,
        unload: Callable[[Replica, str], None],
        wake: Callable[[], None],
    ) -> None:
        """unload: a replica, for a reason; as `Places.unload`. wake: has the pool take its next
        step."""
        self.limits = limits
        self._models = models
        self._books = books
        self._unload = unload
        self._wake = wake
        self._loop = asyncio.get_running_loop()
        self._calls: dict[tuple[Holder, int], Call | Lease] = {}
        """Those that are not answered yet, and those that have a lease."""
        self._leases = Leases()

    def lease_count(self) -> int:
        return len(self._leases)

    # --- calls, and their ends ------------------------------------------------------------------

    def note(self, call: Call) -> bool:
        """It has come, and will be answered; whether the model that it asks for is known."""
        self._calls[call.holder, call.number] = call
        return self._resolve(call)

    def withdraw(self, holder: Holder, number: int) -> None:
        """As `Pool.withdraw`."""
        found = self._calls.pop((holder, number), None)
        if isinstance(found, Lease):
            self.release(holder, found.number)
        elif found is not None:
            found.over = True
            if found.served is not None:
                found.served.waiting.remove(found)
            self._wake()

    def release(self, holder: Holder, lease_number: int, *, lost: bool = False) -> None:
        """As `Pool.release`."""
        lease = self._leases.take_back(holder, lease_number, self._loop.time())
        if lease is None:
            return
        self._calls.pop((holder, lease.call.number), None)
        if lost:
            lease.replica.check()
            if lease.replica.name in lease.served.replicas:
                lease.served.wanted = True  # if it is dead it was in use
        self._wake()

    def drop(self, holder: Holder) -> None:
        """As `Pool.drop`."""
        for key in [key for key in self._calls if key[0] is holder]:
            self.withdraw(holder, key[1])

    def refuse(self, call: Call, error: TricornError) -> None:
        call.over = True
        self._calls.pop((call.holder, call.number), None)
        if call.served is not None:
            call.served.waiting.remove(call)
        call.holder.answer(Refused(call.number, error.info()))

    def refuse_waiting(self, served: ServedModel, error: TricornError) -> None:
        """All that wait for this model."""
        for call in list(served.waiting):
            self.refuse(call, error)

    def refuse_all(self, error: TricornError) -> None:
        """All that wait for anything; leases stay."""
        for found in [found for found in self._calls.values() if isinstance(found, Call)]:
            self.refuse(found, error)

    # --- granting -------------------------------------------------------------------------------

    def admit(self, call: Call) -> None:
        """Grant at once, or queue, or refuse; nothing where it was withdrawn meanwhile."""
        if call.over:
            return
        self._resolve(call)
        served = call.served
        now = self._loop.time()
        if served is None or not (served.listed or served.replicas):
            self.refuse(call, self._models.not_found(call.model))
        elif served.spec.fault is not None and not served.replicas:
            fault = f"the model {call.model} cannot be loaded: {served.spec.fault}"
            self.refuse(call, ModelLoadFailed(fault))
        elif call.adapter is not None and (unable := adapters.engine_fault(served.spec)):
            self.refuse(call, UnsupportedParameter(unable, param="model"))
        elif (refusal := served.refusal(now)) is not None:
            self.refuse(call, refusal)
        elif not served.waiting and self._serve(served, call):
            pass
        elif len(served.waiting) >= self.limits.max_waiting:
            # Where none may wait, the refused ones still bring the model in for later ones.
            served.wanted = served.wanted or not (served.waiting or served.is_leasable())
            self._wake()
            self.refuse(call, waiting.full(served, call.model, now))
        else:
            served.waiting.push(call, call.key, weight=call.weight)
            self._wake()

    def serve_waiting(self, served: ServedModel) -> None:
        """Grant to those who wait for it, in turn, what can be granted."""
        while (call := served.waiting.peek()) is not None:
            if not self._serve(served, call):
                return

    def _resolve(self, call: Call) -> bool:
        """Find what a call asks for."""
        call.served, call.adapter = self._models.find(call.model)
        return call.served is not None

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
                self.refuse(call, self._models.not_found(call.model))
                return True
            if not adapters.fits(adapter, replica.loaded):
                if not adapters.helped_by_load(adapter, replica.spec):
                    self.refuse(call, adapters.refusal(call.model, adapter, replica.loaded))
                    return True
                log.info("loading anew for an adapter", model=served.spec.id, adapter=adapter.name)
                self._unload(replica, "replaced")
                return False
        if served.waiting.peek() is call:
            served.waiting.pop()
        call.over = True
        lease, granted = self._leases.grant(served, replica, call, adapter, self._loop.time())
        self._calls[call.holder, call.number] = lease
        self._books.note_used(served.spec.id)
        call.holder.answer(granted)
        return True
