"""The places in memory: starts and ends the replicas that hold them."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable

from tricorn import logs
from tricorn.engines.spec import ModelSpec
from tricorn.manager.listing import Listing
from tricorn.manager.replica import Replica
from tricorn.manager.room import parked_too_many, plan
from tricorn.manager.served_model import ServedModel

MakeReplica = Callable[[str, ModelSpec, Callable[[Replica], None]], Replica]
"""(name, spec, on_change) → a replica that is not started yet."""

log = logs.get("pool")


class Places:
    """on_change: called with each replica whose state has changed."""

    def __init__(
        self,
        models: Listing,
        *,
        make_replica: MakeReplica,
        max_models: int,
        max_parked: int,
        patience_s: float,
        on_change: Callable[[Replica], None],
    ) -> None:
        self._models = models
        self._make_replica = make_replica
        self._max_models = max_models
        self._max_parked = max_parked
        self._patience_s = patience_s
        self._on_change = on_change
        self._replicas: dict[str, Replica] = {}
        self._numbers = itertools.count(1)

    def replica(self, name: str) -> Replica | None:
        """The replica of that name, while its process lives."""
        return self._replicas.get(name)

    def arrange(self, now: float) -> float | None:
        """Take the next step towards every waiting request being served; when to be called again
        though nothing has happened."""
        steps = plan(
            list(self._models), max_models=self._max_models, patience_s=self._patience_s, now=now
        )
        for served in steps.load:
            self._load(served)
        for served in steps.unload:
            self.unload(served, park=True)
        # Only now: of two that change places, one has been woken.
        for served in parked_too_many(list(self._models), max_parked=self._max_parked):
            self.unload(served)
        return steps.ask_again

    def unload(self, served: ServedModel, *, park: bool = False) -> None:
        """park: or park it, where that can be."""
        replica = served.replica
        assert replica is not None
        log.info("unloading", model=served.spec.id, leases=replica.leases)
        if replica.state == "READY":
            able = replica.loaded is not None and replica.loaded.capabilities.park
            replica.drain(park=park and able and self._max_parked > 0)
        if not replica.leases:
            replica.leave()

    def unload_parked(self) -> bool:
        """Unload all that are parked; whether there were any."""
        parked = parked_too_many(list(self._models), max_parked=0)
        for served in parked:
            self.unload(served)
        return bool(parked)

    def gone(self, replica: Replica) -> None:
        """Its process has ended."""
        self._replicas.pop(replica.name, None)

    async def stop(self) -> None:
        """End every replica, asking first; bounded."""
        replicas = list(self._replicas.values())
        for replica in replicas:
            replica.stop()
        await asyncio.gather(*(replica.ended() for replica in replicas))

    def kill(self) -> None:
        """End every replica now."""
        for replica in self._replicas.values():
            replica.kill()

    def _load(self, served: ServedModel) -> None:
        if served.replica is not None and served.is_current():
            served.replica.wake()
            return
        if served.replica is not None:  # made from what is there no more: loaded once it is gone
            served.replica.stop()
            return
        name = f"replica-{next(self._numbers)}"
        replica = self._make_replica(name, served.spec, self._on_change)
        served.replica = self._replicas[name] = replica
        replica.start()
