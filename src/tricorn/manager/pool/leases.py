"""The leases that are out."""

from __future__ import annotations

import itertools
import secrets

from tricorn.engines.spec import Adapter
from tricorn.manager.pool.calls import Call, Holder, Lease
from tricorn.manager.pool.served_model import ServedModel
from tricorn.manager.protocol.calls import Granted
from tricorn.manager.replicas.replica import Replica


class Leases:
    def __init__(self) -> None:
        self._out: dict[int, Lease] = {}
        # From a random start: a gateway that gives back a lease of the manager before this one
        # must not hit one of ours.
        self._numbers = itertools.count(secrets.randbits(40) << 20)

    def __len__(self) -> int:
        return len(self._out)

    def grant(
        self, served: ServedModel, replica: Replica, call: Call, adapter: Adapter | None, now: float
    ) -> tuple[Lease, Granted]:
        """A lease of a ready replica, and what its holder is told."""
        assert replica.loaded is not None
        lease = Lease(next(self._numbers), call, served, replica)
        self._out[lease.number] = lease
        replica.leases += 1
        served.last_used = replica.last_used = now
        served.router.note(replica.name, call.prefix)
        if call.keep_alive_s is not None:
            served.keep_alive_s = call.keep_alive_s
        return lease, Granted(
            call=call.number,
            lease=lease.number,
            address=replica.address,
            secret=replica.data_secret,
            model_id=call.model,
            model=replica.loaded,
            adapter=adapter,
            replica=replica.name,
            served=served.spec.id if adapter is None else f"{served.spec.id}:{adapter.name}",
        )

    def take_back(self, holder: Holder, number: int, now: float) -> Lease | None:
        """None where `holder` does not hold it."""
        lease = self._out.get(number)
        if lease is None or lease.call.holder is not holder:
            return None
        del self._out[number]
        lease.replica.leases -= 1
        lease.served.last_used = lease.replica.last_used = now
        return lease
