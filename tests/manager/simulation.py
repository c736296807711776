"""A pool over engines that are no processes: each loads, serves and dies by the event loop's clock.

What is simulated is only what lies behind `Placement`; replicas, places, ledger and pool are real.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec
from tests.manager.harness import Client, Forgetful

from tricorn.engines.spec import EngineCapabilities, EngineOptions, LoadedModel, ModelSpec, Serving
from tricorn.errors import ErrorInfo
from tricorn.hardware.facts import Facts
from tricorn.manager.memory.books import MemoryBooks
from tricorn.manager.memory.ledger import Ledger
from tricorn.manager.pool.bounds import Bounds, Limits
from tricorn.manager.pool.listing import Listing
from tricorn.manager.pool.pool import Pool
from tricorn.manager.protocol.messages import ManagerMessage
from tricorn.manager.protocol.worker import LoadFailed, Park, Parked, Ready, Stop, Wake, Woken
from tricorn.manager.replicas.replica import Replica
from tricorn.manager.replicas.spares import Spares

SPARE = 1
"""What a spare worker takes of memory."""
PARKED_SHARE = 0
"""Of its memory, that a parked engine keeps: here all of it is the device's."""


@dataclass
class Plan:
    """How the engines of one model behave."""

    memory: int
    load_s: float = 1.0
    fails_to_load: bool = False
    stop_s: float = 0.1
    parks: bool = False


class SimulatedEngine:
    """As `placement.Engine`."""

    def __init__(self, world: World, name: str, spec: ModelSpec) -> None:
        self.pid = next(world.pids)
        self.data_secret = "secret"
        self.name = name
        self.model = spec.id
        self.plan = world.plans[spec.id]
        self.holds = self.plan.memory
        self._world = world
        self._ended = asyncio.get_running_loop().create_future()
        self._work = asyncio.create_task(self._load(spec))

    async def wait(self) -> str:
        await asyncio.shield(self._ended)
        return "exited"

    async def end(self, grace_s: float) -> None:
        await asyncio.wait({self._ended}, timeout=grace_s)
        self.kill()

    def kill(self) -> None:
        """Also how it crashes."""
        if not self._ended.done():
            self._work.cancel()
            self._ended.set_result(None)
            self._world.alive.pop(self.pid)
            if self._attached:
                self._replica.detached()

    def log_tail(self) -> list[str]:
        return []

    _attached = False

    @property
    def _replica(self) -> Replica:
        return self._world.replicas[self.name]

    async def _load(self, spec: ModelSpec) -> None:
        await asyncio.sleep(0.01)
        self._attached = self._replica.attached(self._told)
        await asyncio.sleep(self.plan.load_s)
        if self.plan.fails_to_load:
            self._replica.received(LoadFailed(ErrorInfo("model_load_failed", "no luck")))
            return
        loaded = LoadedModel(
            context_length=100,
            vocab_size=10,
            max_num_seqs=1,
            capabilities=EngineCapabilities(park=self.plan.parks),
            memory_bytes=self.plan.memory,
        )
        self._replica.received(Ready(f"unix:{self.pid}", loaded))

    def _told(self, message: ManagerMessage) -> None:
        if isinstance(message, Stop):
            self._world.asked_to_stop(self)
            asyncio.get_running_loop().call_later(self.plan.stop_s, self.kill)
        elif isinstance(message, Park):
            self.holds = PARKED_SHARE
            self._replica.received(Parked())
        elif isinstance(message, Wake):
            self.holds = self.plan.memory
            self._world.note_held()
            self._replica.received(Woken())


class SimulatedSpare:
    """As `spares.Process`."""

    def __init__(self, world: World) -> None:
        self.pid = next(world.pids)
        self._world = world
        self._ended = asyncio.get_running_loop().create_future()

    def has_ended(self) -> bool:
        return self._ended.done()

    def kill(self) -> None:
        """Also how it crashes."""
        if not self._ended.done():
            self._ended.set_result(None)
            self._world.waiting.pop(self.pid)

    async def wait(self) -> str:
        await asyncio.shield(self._ended)
        return "exited"

    def hang_up(self) -> None:
        pass


@dataclass
class World:
    """plans: by model. budget: bytes of main memory."""

    plans: Mapping[str, Plan]
    budget: int
    pinned: frozenset[str] = frozenset()
    replicas_each: int = 1
    serving: Serving = field(default_factory=Serving)
    """Of all models, but for these two."""
    limits: Limits = field(default_factory=lambda: Limits(max_waiting=100, max_wait_s=300.0))
    bounds: Bounds = field(default_factory=lambda: Bounds(1000, 1, 5.0))
    spares: int = 0
    most_held: int = 0
    spares_taken: int = 0
    stopped_in_use: list[str] = field(default_factory=list)
    """Replicas that were asked to end while they had leases."""

    def __post_init__(self) -> None:
        self.pids = itertools.count(1)
        self.alive: dict[int, SimulatedEngine] = {}
        self.waiting: dict[int, SimulatedSpare] = {}
        self.replicas: dict[str, Replica] = {}

    def open(self) -> None:
        ledger = Ledger({"main": self.budget})
        self.books = MemoryBooks(ledger, Facts(), Forgetful(), measure=self._measure)
        self.spare_workers = Spares(
            self._start_spare,
            ledger,
            measure=self._measure_spare,
            suits=lambda spare, spec: True,
            wanted=self.spares,
            engines=frozenset({"fake"}),
            guess={"main": SPARE},
            first_s=0.0,
        )
        self.pool = Pool(
            Listing(max_restarts=1000, restart_window_s=1.0),
            self.books,
            scan=dict,
            make_replica=self._make,
            limits=self.limits,
            bounds=self.bounds,
            on_change=self.spare_workers.look,
        )
        self.pool.adopt({name: self.spec(name) for name in self.plans})

    def spec(self, name: str) -> ModelSpec:
        return ModelSpec(
            id=name,
            path="",
            format="fake",
            engine="fake",
            engine_reason="",
            size_bytes=0,
            created=0,
            options=EngineOptions(engine_args={"memory_bytes": self.plans[name].memory}),
            serving=msgspec.structs.replace(
                self.serving, pinned=name in self.pinned, replicas=self.replicas_each
            ),
        )

    def client(self) -> Client:
        return Client(self.pool)

    def state(self, model: str) -> str:
        served = self.pool.model(model)
        assert served is not None
        return served.state()

    def asked_to_stop(self, engine: SimulatedEngine) -> None:
        if engine.pid in self.alive and self.replicas[engine.name].leases:
            self.stopped_in_use.append(engine.name)

    async def start(self, name: str, spec: ModelSpec) -> SimulatedEngine:
        """As `Placement.start`."""
        spare = await self.spare_workers.take(spec)
        if spare is not None:
            self.spares_taken += 1
            del self.waiting[spare.pid]
        engine = SimulatedEngine(self, name, spec)
        self.alive[engine.pid] = engine
        self.note_held()
        return engine

    def note_held(self) -> None:
        held = sum(one.holds for one in self.alive.values()) + SPARE * len(self.waiting)
        self.most_held = max(self.most_held, held)

    async def _start_spare(self, engine: str) -> SimulatedSpare:
        spare = SimulatedSpare(self)
        self.waiting[spare.pid] = spare
        self.note_held()
        return spare

    async def _measure_spare(self, pid: int) -> dict[str, int]:
        return {"main": SPARE}

    def _make(self, name: str, spec: ModelSpec, on_change: object) -> Replica:
        replica = Replica(
            name,
            spec,
            self,
            load_timeout_s=60.0,
            on_change=on_change,  # type: ignore[arg-type]
            on_state=self._replica_state,
        )
        self.replicas[name] = replica
        return replica

    def _replica_state(self, replica: Replica) -> None:
        if replica.state == "READY":
            self.spare_workers.used("fake")

    async def _measure(self, pid: int, spec: ModelSpec, loaded: LoadedModel) -> dict[str, int]:
        return {"main": self.alive[pid].holds} if pid in self.alive else {}
