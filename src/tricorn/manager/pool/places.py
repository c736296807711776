"""The places in memory: starts and ends the replicas that hold them."""

from __future__ import annotations

import asyncio
import itertools
import math
from collections.abc import Callable, Iterator

from tricorn import logs
from tricorn.engines.spec import ModelSpec
from tricorn.manager.memory.books import MemoryBooks
from tricorn.manager.pool.bounds import Bounds
from tricorn.manager.pool.eviction import Seat
from tricorn.manager.pool.listing import Listing
from tricorn.manager.pool.room import Plan, Space, Wish, plan
from tricorn.manager.pool.served_model import Lack, ServedModel
from tricorn.manager.replicas.replica import Replica

MakeReplica = Callable[[str, ModelSpec, Callable[[Replica], None]], Replica]
"""(name, spec, on_change) → a replica that is not started yet."""
USUAL_LOAD_S = 5.0
"""Of a model that was never loaded."""

log = logs.get("pool")


class Places:
    """on_change: called with each replica whose state has changed."""

    def __init__(
        self,
        models: Listing,
        books: MemoryBooks,
        bounds: Bounds,
        *,
        make_replica: MakeReplica,
        on_change: Callable[[Replica], None],
    ) -> None:
        self.bounds = bounds
        self._models = models
        self._books = books
        self._make_replica = make_replica
        self._on_change = on_change
        self._replicas: dict[str, Replica] = {}
        self._leaving: set[str] = set()
        """They were told to give their place up."""
        self._numbers = itertools.count(1)
        self._last_start = -math.inf
        """Of a process, for whatever model."""

    def replicas(self) -> list[Replica]:
        """All whose process lives."""
        return list(self._replicas.values())

    def replica(self, name: str) -> Replica | None:
        """The replica of that name, while its process lives."""
        return self._replicas.get(name)

    def arrange(self, now: float, due: list[float]) -> Plan:
        """Take the next step towards every waiting request being served.

        due: gets when to be called again though nothing has happened.
        """
        bounds = self.bounds
        lacks: dict[str, Lack] = {}
        for served in self._models:
            lack = served.lack(now, bounds.replica_start_interval_s)
            if lack is not None:
                lacks[served.spec.id] = lack
            due += [when for when in self._moments(served) if when > now]
        ledger = self._books.ledger
        found = plan(
            [self._wish(model, lack) for model, lack in lacks.items()],
            list(self._seats()),
            Space(
                ledger.free(),
                ledger.budget(),
                bounds.max_models,
                ledger.unheld() if ledger.is_loading() else None,
            ),
            max_swap_wait_s=bounds.max_swap_wait_s,
            now=now,
        )
        for model in found.load:
            lack = lacks[model]
            begin = self._last_start + bounds.model_start_interval_s
            if lack.parked is None and begin > now:
                due.append(begin)
                continue
            self._load(self._served(model), lack, now)
        for name in found.end + found.drain:
            self.unload(self._replicas[name], "evicted", park=True)
        self._replace_stale(lacks, found)
        # Only now: of two that change places, one has been woken.
        for replica in self._parked_too_many(bounds.max_parked):
            self._stop(replica, "evicted")
        if found.ask_again is not None:
            due.append(found.ask_again)
        return found

    def unload(self, replica: Replica, reason: str, *, park: bool = False) -> None:
        """Once its leases are back. park: or park it, where that can be. reason: a word for logs
        and metrics."""
        replica.unload_reason = replica.unload_reason or reason
        log.info(
            "unloading",
            model=replica.spec.id,
            replica=replica.name,
            leases=replica.leases,
            reason=reason,
        )
        if replica.state == "READY":
            able = replica.loaded is not None and replica.loaded.capabilities.park
            replica.drain(park=park and able and self.bounds.max_parked > 0)
        if not replica.leases:
            self.leave(replica)

    def unload_parked(self) -> bool:
        """Unload all that are parked; whether there were any."""
        parked = self._parked_too_many(0)
        for replica in parked:
            self._stop(replica, "evicted")
        return bool(parked)

    def ready(self, served: ServedModel, replica: Replica) -> None:
        alone = len(served.replicas) == 1
        self._books.ready(replica, served.made_from[replica.name], alone=alone)

    def parked(self, replica: Replica) -> None:
        self._books.parked(replica)

    def leave(self, replica: Replica) -> None:
        """Without leases: give its place up."""
        if replica.name not in self._leaving:
            self._leaving.add(replica.name)
            self._books.ending(replica)
        replica.leave()

    def gone(self, served: ServedModel, replica: Replica) -> None:
        """Its process has ended."""
        self._leaving.discard(replica.name)
        self._replicas.pop(replica.name, None)
        served.replicas.pop(replica.name, None)
        served.made_from.pop(replica.name, None)
        served.router.forget(replica.name)
        self._books.gone(replica)

    async def stop(self) -> None:
        """End every replica, asking first; bounded."""
        replicas = list(self._replicas.values())
        for replica in replicas:
            self._stop(replica, "shutdown")
        await asyncio.gather(*(replica.ended() for replica in replicas))

    def kill(self) -> None:
        """End every replica now."""
        for replica in self._replicas.values():
            replica.kill()

    # --- facts for the plan ---------------------------------------------------------------------

    def _served(self, model: str) -> ServedModel:
        served = self._models.get(model)
        assert served is not None, "plans are made of what is listed"
        return served

    def _wish(self, model: str, lack: Lack) -> Wish:
        needs = self._books.needs(self._served(model).target())
        if lack.parked is not None:
            held = self._books.ledger.held(lack.parked.name)
            needs = {place: max(0, size - held.get(place, 0)) for place, size in needs.items()}
        return Wish(model, needs, lack.since)

    def _seats(self) -> Iterator[Seat]:
        for served in self._models:
            for replica in served.replicas.values():
                parked = replica.is_parked()
                yield Seat(
                    name=replica.name,
                    model=served.spec.id,
                    holds=self._books.ledger.held(replica.name),
                    leases=replica.leases,
                    awaited=replica.state == "LOADING" and bool(served.waiting or served.wanted),
                    last_used=max(replica.last_used, replica.ready_since),
                    ready_since=replica.ready_since,
                    pinned=served.spec.serving.pinned and not parked,
                    reload_s=served.load_s or USUAL_LOAD_S,
                    leaving=replica.is_leaving() and not parked,
                    parked=parked,
                )

    def _moments(self, served: ServedModel) -> list[float]:
        """When a model's wishes may change by themselves."""
        moments = []
        if served.waiting or served.wanted:
            moments.append(served.retry_at)
        if served.spec.serving.replicas > len(served.live()) > 0:
            moments += [served.last_start + self.bounds.replica_start_interval_s, served.retry_at]
        if served.stale():
            moments.append(served.retry_at)
        return [when for when in moments if when != float("inf")]

    # --- steps ----------------------------------------------------------------------------------

    def _load(self, served: ServedModel, lack: Lack, now: float) -> None:
        target = served.target()
        needs = self._books.needs(target)
        served.last_start = now
        if lack.parked is None:
            self._last_start = now
        else:
            self._books.starting(lack.parked.name, needs)
            self._leaving.discard(lack.parked.name)
            lack.parked.wake()
            return
        name = f"replica-{next(self._numbers)}"
        # Before it is reserved: what it may count on is not less by what it takes itself.
        spec = self._books.prepared(target)
        self._books.starting(name, needs)
        replica = self._make_replica(name, spec, self._on_change)
        served.replicas[name] = self._replicas[name] = replica
        served.made_from[name] = target
        replica.start()

    def _replace_stale(self, lacks: dict[str, Lack], found: Plan) -> None:
        """Models whose files or settings have changed: the new replica first, where it fits beside
        the old one; who asks meanwhile is served by that."""
        for served in self._models:
            fresh = [one for one in served.live() if served.is_current(one)]
            surplus = fresh[served.spec.serving.replicas :]
            stale = served.stale()
            model = served.spec.id
            has_no_room = model in lacks and model not in found.load + found.too_large
            if surplus and not stale:
                self.unload(surplus[-1], "replaced")
            elif stale and (any(one.is_leasable() for one in fresh) or (not fresh and has_no_room)):
                served.wanted = served.wanted or not fresh
                self.unload(stale[0], "replaced")

    def _stop(self, replica: Replica, reason: str) -> None:
        replica.unload_reason = replica.unload_reason or reason
        replica.stop()

    def _parked_too_many(self, most: int) -> list[Replica]:
        """What nobody could use again, and the least recently used ones beyond the bound."""
        useful: list[Replica] = []
        useless: list[Replica] = []
        for served in self._models:
            for replica in served.parked():
                (useful if served.is_current(replica) else useless).append(replica)
        useful.sort(key=lambda one: (one.last_used, one.name))
        return useless + useful[: max(0, len(useful) - most)]
