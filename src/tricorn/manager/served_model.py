"""What the pool keeps for each model: who waits, who holds a lease, and how its replica fares."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from tricorn.engines.spec import Adapter, LoadedModel, ModelSpec, Serving
from tricorn.errors import ServiceError
from tricorn.manager import adapters, backoff
from tricorn.manager.eviction import Resident
from tricorn.manager.protocol import Granted, ModelInfo, Refused, ReplicaState
from tricorn.manager.replica import Replica

STEADY_S = 60.0
"""A replica that was ready this long starts with a clean record when it crashes."""
PATIENT_CRASHES = 5
"""Up to so many crashes in a row requests wait for the restart; after that they are told."""


class Holder(Protocol):
    """A gateway's connection: asks for leases, gets answers, and ends with all it held."""

    def answer(self, message: Granted | Refused) -> None:
        """Called at most once for each call; must not block or raise."""


@dataclass(eq=False)
class Call:
    """A request that waits for a lease."""

    holder: Holder
    number: int
    model: str
    request_id: str
    since: float
    over: bool = False
    """Answered or withdrawn."""
    served: ServedModel | None = None
    """The model that serves it, once it is known."""
    adapter: str | None = None
    """The name of the adapter, where `model` is `base:adapter`."""


@dataclass(eq=False)
class Lease:
    """A right to use `replica` for one request."""

    number: int
    call: Call
    served: ServedModel
    replica: Replica


@dataclass(eq=False)
class ServedModel:
    """One model of the catalog. Times are on the event loop's clock, in seconds."""

    spec: ModelSpec
    listed: bool = True
    """Still in the catalog."""
    waiting: dict[Call, None] = field(default_factory=dict)
    """First come first; a dict because calls are withdrawn from the middle."""
    replica: Replica | None = None
    """The one whose process lives; at most one."""
    wanted: bool = False
    """To be loaded though nobody waits for it: preloaded, or crashed while it was in use."""
    failure: ServiceError | None = None
    """Of its last replica; None once one is ready."""
    failed_loading: bool = False
    failures: int = 0
    """In a row."""
    retry_at: float = 0.0
    last_used: float = 0.0
    known: LoadedModel | None = None
    """What the last load told."""
    load_s: float | None = None
    """Seconds that the last load took."""

    def state(self) -> ReplicaState:
        if self.replica is not None:
            return self.replica.state
        return "FAILED" if self.failure is not None else "UNLOADED"

    def info(self) -> ModelInfo:
        info = ModelInfo(
            id=self.spec.id,
            created=self.spec.created,
            engine=self.spec.engine,
            engine_reason=self.spec.engine_reason,
            format=self.spec.format,
            size_bytes=self.spec.size_bytes,
            state=self.state(),
            fault=self.spec.fault,
            failure=self.failure.message if self.failure is not None else None,
            device=self.spec.device,
            facts=self.spec.facts,
            estimate=self.spec.estimate,
        )
        if self.known is None:
            return info
        return msgspec.structs.replace(
            info,
            context_length=self.known.context_length,
            capabilities=self.known.capabilities,
            dialect=self.known.dialect,
            dimensions=self.known.dimensions,
            shorter_dimensions=self.known.shorter_dimensions,
            memory_bytes=self.known.memory_bytes if self.replica is not None else None,
            details=self.known.details,
        )

    def adapter(self, name: str) -> Adapter | None:
        """As the catalog knows it now; None where there is none of that name any more."""
        return next((one for one in self.spec.adapters if one.name == name), None)

    def adapter_infos(self) -> list[ModelInfo]:
        """Its adapters, each as a model of its own."""
        info, fault = self.info(), adapters.engine_fault(self.spec)
        return [
            msgspec.structs.replace(
                info,
                id=f"{self.spec.id}:{one.name}",
                created=one.created,
                format="lora",
                size_bytes=one.size_bytes,
                fault=info.fault or fault,
                parent=self.spec.id,
            )
            for one in self.spec.adapters
        ]

    def adopt(self, spec: ModelSpec) -> None:
        """Take over what the catalog says of it now."""
        if self.replica is not None:
            for adapter in self.spec.adapters:
                if adapter not in spec.adapters:
                    self.replica.drop_adapter(adapter)
        self.spec, self.retry_at = spec, 0.0

    def resident(self) -> Resident | None:
        """How eviction sees it; None while it holds no place that it could give up."""
        replica = self.replica
        if replica is None or replica.is_leaving():
            return None
        return Resident(
            name=self.spec.id,
            leases=replica.leases,
            waiting=len(self.waiting),
            last_used=self.last_used,
            ready_since=replica.ready_since,
            pinned=self.wanted,
        )

    def is_current(self) -> bool:
        """Whether its replica is what a load would make now. Adapters come and go while it runs,
        and what only the manager goes by needs no other process."""
        if self.replica is None or not self.listed:
            return False
        made, wanted = (
            msgspec.structs.replace(spec, adapters=(), aliases=(), serving=Serving())
            for spec in (self.replica.spec, self.spec)
        )
        return made == wanted

    def is_leasable(self) -> bool:
        replica = self.replica
        return replica is not None and replica.is_leasable()

    def refusal(self, now: float) -> ServiceError | None:
        """The failure that a new request is told at once; None where it may wait."""
        if self.failure is None or self.state() != "FAILED" or self.retry_at <= now:
            return None
        if not self.failed_loading and self.failures <= PATIENT_CRASHES:
            return None
        kind = type(self.failure)
        return kind(self.failure.message, retry_after_s=round(self.retry_at - now, 1))

    def note_ready(self, replica: Replica, now: float) -> None:
        self.wanted = False
        self.failure = None
        if self.failed_loading:
            self.failures, self.failed_loading = 0, False
        self.last_used = now
        self.load_s = replica.load_s
        if replica.loaded is not None:
            self.known = replica.loaded

    def note_failed(self, replica: Replica, now: float) -> None:
        """Its replica has become FAILED: remember why, and when to try again."""
        if not replica.failed_loading and now - replica.ready_since >= STEADY_S:
            self.failures = 0
        self.failures += 1
        self.failure = replica.failure
        self.failed_loading = replica.failed_loading
        policy = backoff.AFTER_LOAD_FAILURE if replica.failed_loading else backoff.AFTER_CRASH
        self.retry_at = now + policy.delay_s(self.failures)
        in_use = replica.leases > 0 or bool(self.waiting)
        self.wanted = (self.wanted or in_use) and not replica.failed_loading
