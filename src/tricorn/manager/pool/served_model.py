"""What the pool keeps for each model: who waits, and how its replicas fare."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from tricorn.engines.spec import Adapter, LoadedModel, ModelSpec, Serving
from tricorn.errors import ServiceError
from tricorn.manager.catalog import adapters
from tricorn.manager.pool.calls import Call
from tricorn.manager.pool.fair_queue import FairQueue
from tricorn.manager.pool.routing import Candidate, Router
from tricorn.manager.protocol.model_info import ModelInfo, ReplicaState
from tricorn.manager.replicas.replica import Replica
from tricorn.manager.replicas.restarts import RestartHistory

PATIENT_CRASHES = 5
"""Up to so many crashes in a row requests wait for the restart; after that they are told."""
SEQUENCES_AHEAD = 2
"""So many times the sequences of a replica it gets leases for: a batch never waits for the manager,
and the queue behind it is fair between keys, which the engine's own is not."""
BEST_FIRST: tuple[ReplicaState, ...] = ("READY", "LOADING", "DRAINING", "PARKED")


class Lack(NamedTuple):
    """A replica that a model should have."""

    since: float | None = None
    """When the first of those came who wait for it; None: nobody does."""
    parked: Replica | None = None
    """It is there, and has to be woken."""


@dataclass(eq=False)
class ServedModel:
    """One model of the catalog. Times are on the event loop's clock, in seconds."""

    spec: ModelSpec
    history: RestartHistory
    listed: bool = True
    """Still in the catalog."""
    waiting: FairQueue[Call] = field(default_factory=FairQueue)
    replicas: dict[str, Replica] = field(default_factory=dict)
    """Those whose process lives, by name, the oldest first."""
    made_from: dict[str, ModelSpec] = field(default_factory=dict)
    """By replica: what the catalog said when it was made."""
    router: Router = field(default_factory=Router)
    wanted: bool = False
    """To be loaded though nobody waits: preloaded, asked for, or crashed while it was in use."""
    shrunk: ModelSpec | None = None
    """With a shorter context, where it would never fit otherwise."""
    failure: ServiceError | None = None
    """Of its last replica, or why none can be made; None once one is ready."""
    failed_loading: bool = False
    failures: int = 0
    """In a row."""
    retry_at: float = 0.0
    """Infinite: not by itself."""
    log_tail: list[str] = field(default_factory=list)
    """The last lines of the engine that failed last."""
    kept_out_since: float | None = None
    """Since when it would not fit even if all that may go were gone."""
    last_used: float = 0.0
    last_start: float = -math.inf
    keep_alive_s: float | None = None
    """As the newest request that said so wants it; None: as it is set up."""
    known: LoadedModel | None = None
    """What the last load told."""
    load_s: float | None = None
    """Seconds that the last load took."""
    told_at: float = -math.inf
    """When those who wait were last told why."""

    # --- as others see it -----------------------------------------------------------------------

    def state(self) -> ReplicaState:
        """The best of its replicas'."""
        states = {replica.state for replica in self.replicas.values()}
        for state in BEST_FIRST:
            if state in states:
                return state
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
            aliases=self.spec.aliases,
            replicas=self.spec.serving.replicas,
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
            memory_bytes=self.known.memory_bytes if self.replicas else None,
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
                aliases=(),
            )
            for one in self.spec.adapters
        ]

    # --- its replicas ---------------------------------------------------------------------------

    def target(self) -> ModelSpec:
        """What a load would be told now, before the machine's memory is looked at."""
        return self.shrunk or self.spec

    def is_current(self, replica: Replica) -> bool:
        """Whether it is what a load would make now. Adapters come and go while it runs, and what
        only the manager goes by needs no other process."""
        made = self.made_from.get(replica.name)
        return self.listed and made is not None and _identity(made) == _identity(self.target())

    def live(self) -> list[Replica]:
        """Those that load or serve, and are not on their way out."""
        return [one for one in self.replicas.values() if not one.is_leaving()]

    def stale(self) -> list[Replica]:
        """Those that serve, and are not what a load would make now."""
        ready = [one for one in self.live() if one.state == "READY"]
        return [one for one in ready if self.listed and not self.is_current(one)]

    def parked(self) -> list[Replica]:
        return [one for one in self.replicas.values() if one.is_parked()]

    def is_leasable(self) -> bool:
        """Whether any replica serves; it may have all the requests that it takes."""
        return any(one.is_leasable() for one in self.replicas.values())

    def is_idle(self) -> bool:
        """Nobody uses it or waits for it."""
        return not (self.waiting or self.wanted or any(r.leases for r in self.replicas.values()))

    def choose_replica(self, prefix: tuple[int, ...]) -> Replica | None:
        """The one that gets a request; None while none takes any."""
        leasable = {one.name: one for one in self.replicas.values() if one.is_leasable()}
        name = self.router.choose([self._candidate(one) for one in leasable.values()], prefix)
        return None if name is None else leasable[name]

    def _candidate(self, replica: Replica) -> Candidate:
        stats, loaded = replica.stats, replica.loaded
        sequences = loaded.max_num_seqs if loaded is not None else 1
        return Candidate(
            name=replica.name,
            leases=replica.leases,
            running=stats.running if stats is not None else 0,
            waiting=stats.waiting if stats is not None else 0,
            kv_used=stats.kv_used if stats is not None else 0.0,
            capacity=self.spec.serving.max_leases or max(1, SEQUENCES_AHEAD * sequences),
        )

    def lack(self, now: float, start_interval_s: float) -> Lack | None:
        """The next replica that it should have; None where it has all, or cannot have one now."""
        if not self.listed or self.spec.fault is not None or self.retry_at > now:
            return None
        fresh = [one for one in self.live() if self.is_current(one)]
        parked = next((one for one in self.parked() if self.is_current(one)), None)
        if fresh:
            missing = len(fresh) < self.spec.serving.replicas
            due = self.last_start + start_interval_s <= now
            return Lack(parked=parked) if missing and due else None
        if self.stale():
            return Lack(parked=parked)  # before they are ended
        going = any(one.is_leaving() and not one.is_parked() for one in self.replicas.values())
        if going or not (self.waiting or self.wanted):
            return None
        oldest = self.waiting.oldest()
        return Lack(oldest.since if oldest is not None else None, parked)

    def expires_at(self) -> float | None:
        """When it is to be unloaded if nobody uses it until then; None: not by itself."""
        ttl_s = self.spec.serving.ttl_s if self.keep_alive_s is None else self.keep_alive_s
        if ttl_s is None or math.isinf(ttl_s) or self.spec.serving.pinned or not self.is_idle():
            return None
        there = any(one.state == "READY" or one.is_parked() for one in self.replicas.values())
        return self.last_used + ttl_s if there else None

    def eta_s(self, now: float) -> float | None:
        """Seconds until a load that is needed or goes on will be done; None: unknown."""
        loading = [one for one in self.live() if one.state == "LOADING"]
        if not loading:
            return self.load_s
        taken = now - self.last_start
        share = loading[0].progress
        if share is not None and share > 0.05:
            return taken * (1.0 - share) / share
        return None if self.load_s is None else max(1.0, self.load_s - taken)

    # --- what happens to it ---------------------------------------------------------------------

    def adopt(self, spec: ModelSpec) -> None:
        """Take over what the catalog says of it now."""
        for adapter in self.spec.adapters:
            if adapter not in spec.adapters:
                for replica in self.replicas.values():
                    replica.drop_adapter(adapter)
        if _identity(spec) != _identity(self.spec):
            self.shrunk = None
        self.spec = spec
        self.forgive()

    def forgive(self) -> None:
        """Try again at once, whatever has failed."""
        self.history.clear()
        self.retry_at = 0.0
        self.failure, self.failures = None, 0

    def refusal(self, now: float) -> ServiceError | None:
        """The failure that a new request is told at once; None where it may wait."""
        if self.failure is None or self.state() != "FAILED" or self.retry_at <= now:
            return None
        hopeless = self.is_hopeless() or self.failures > PATIENT_CRASHES
        return self.told(now) if hopeless else None

    def is_hopeless(self) -> bool:
        """After a failure: nobody should wait for the next try."""
        return self.failed_loading or math.isinf(self.retry_at)

    def told(self, now: float) -> ServiceError:
        """The failure, as a request is told it."""
        failure = self.failure
        assert failure is not None
        if not math.isinf(self.retry_at):
            return type(failure)(
                failure.message, retry_after_s=max(0.1, round(self.retry_at - now, 1))
            )
        text = f"{failure.message}; it has failed {self.failures} times, and is tried again once"
        return type(failure)(f"{text} its files or settings change, or by POST …/retry")

    def note_ready(self, replica: Replica, now: float) -> None:
        self.wanted = False
        self.failure, self.kept_out_since = None, None
        self.history.ready()
        if self.failed_loading:
            self.failures, self.failed_loading = 0, False
        self.last_used = replica.last_used = now
        self.load_s = replica.load_s
        if replica.loaded is not None:
            self.known = replica.loaded

    def note_failed(self, replica: Replica, now: float) -> None:
        """Its replica has become FAILED: remember why, and when to try again."""
        decision = self.history.failed(
            now, loading=replica.failed_loading, was_ready_s=now - replica.ready_since
        )
        self.failures = decision.failures
        self.retry_at = math.inf if decision.retry_at is None else decision.retry_at
        self.failure, self.failed_loading = replica.failure, replica.failed_loading
        self.log_tail = replica.log_tail
        # One that was found at fault while it was idle was there for the next request.
        in_use = replica.leases > 0 or bool(self.waiting) or replica.found_at_fault
        self.wanted = (self.wanted or in_use) and not (replica.failed_loading or decision.gave_up)


def _identity(spec: ModelSpec) -> ModelSpec:
    """What makes another process necessary where it differs."""
    return msgspec.structs.replace(
        spec,
        adapters=(),
        aliases=(),
        serving=Serving(),
        estimate=None,
        facts=None,
        engine_reason="",
        fault=None,
        warnings=(),
    )
