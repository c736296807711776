"""What the pool knows of memory: what a load will take, what it took, and what is left."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, Protocol

from tricorn import logs
from tricorn.engines.spec import LoadedModel, ModelSpec
from tricorn.errors import InsufficientMemory
from tricorn.hardware.facts import Facts
from tricorn.manager.memory import needs as memory_needs
from tricorn.manager.memory import never_fits
from tricorn.manager.memory.available import Available
from tricorn.manager.memory.ledger import MAIN, Ledger, Needs
from tricorn.manager.memory.measuring import measure_replica
from tricorn.manager.memory.residue import Ending, ResidueWatch
from tricorn.manager.replicas.replica import Replica

log = logs.get("memory")


Measure = Callable[[int, ModelSpec, LoadedModel], Awaitable[Needs]]
"""What the processes of a replica hold, by place; empty where nothing tells."""


class Memories(Protocol):
    """What is remembered of earlier loads, by `memory_needs.fingerprint`: `ManagerMemory`."""

    def needs(self) -> Mapping[str, Needs]: ...

    def load_s(self, fingerprint: str) -> float | None: ...

    def used(self, model_id: str) -> None: ...

    def loaded(self, fingerprint: str, needs: Needs, load_s: float) -> None: ...


class MemoryBooks:
    """On the manager's event loop."""

    def __init__(
        self,
        ledger: Ledger,
        machine: Facts,
        memories: Memories,
        available: Available | None = None,
        *,
        measure: Measure = measure_replica,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        """available: what the machine has free; None: nothing tells. on_change: called when less
        or more is held than before."""
        self.ledger = ledger
        self._machine = machine
        self._memories = memories
        self._on_change = on_change
        self._measure_replica = measure
        self._available = available
        self._residues = ResidueWatch(self._read_anew)
        self._endings: dict[str, Ending] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def prepared(self, spec: ModelSpec) -> ModelSpec:
        """As an engine is told it."""
        return memory_needs.prepared(spec, self._machine, self.ledger.capacity())

    def needs(self, spec: ModelSpec) -> Needs:
        """What a load of it will take."""
        return memory_needs.needs_of(self.prepared(spec), self._machine, self._memories.needs())

    def load_s(self, spec: ModelSpec) -> float | None:
        """What its loads took; None for one that was never loaded."""
        return self._memories.load_s(self._fingerprint(spec))

    def shrunk(self, spec: ModelSpec) -> ModelSpec | None:
        """With the longest context that fits; None where none does."""
        return never_fits.shrunk(self.prepared(spec), self._machine, self.ledger.capacity())

    def insufficient(self, spec: ModelSpec) -> InsufficientMemory:
        """The error for a model that does not fit, whatever is unloaded."""
        return never_fits.insufficient(
            self.prepared(spec), self._machine, self.needs(spec), self.ledger.capacity()
        )

    def ready(self, replica: Replica, spec: ModelSpec, *, alone: bool) -> None:
        """Measure it, soon. alone: it shares its weights with no other replica, so that what it
        holds is what a load takes."""
        self._residues.disturbed()
        self._soon(self._measure(replica, spec, alone=alone))

    def starting(self, replica: str, needs: Needs) -> None:
        """Its load is about to begin."""
        self._residues.disturbed()
        self.ledger.reserve(replica, needs)

    def ending(self, replica: Replica) -> None:
        """Its process is about to be told to end."""
        held = self.ledger.held(replica.name)
        self._endings[replica.name] = self._residues.ending(replica.spec.id, held)

    def parked(self, replica: Replica) -> None:
        """What the device had is free; what main memory has is not."""
        self._endings.pop(replica.name, None)
        held = self.ledger.held(replica.name)
        self.ledger.settle(replica.name, {place: 0 for place in held if place != MAIN})

    def gone(self, replica: Replica) -> None:
        """Its process has ended."""
        self.ledger.release(replica.name)
        if self._available is not None:
            self._available.forget()
        ending = self._endings.pop(replica.name, None)
        if ending is None:
            self._residues.disturbed()
        else:
            self._soon(self._check_residue(ending))

    def residue(self, model: str) -> Needs | None:
        """Bytes that did not come back after its last unload, by place; None: not known."""
        return self._residues.of(model)

    def note_used(self, model: str) -> None:
        """A request has got a lease of it."""
        self._memories.used(model)

    def _soon(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _read_anew(self) -> Needs:
        if self._available is None:
            return {}
        self._available.forget()
        return self._available()

    async def _check_residue(self, ending: Ending) -> None:
        await self._residues.ended(ending)

    async def _measure(self, replica: Replica, spec: ModelSpec, *, alone: bool) -> None:
        if replica.pid is None or replica.loaded is None:
            return
        found = await self._measure_replica(replica.pid, replica.spec, replica.loaded)
        if replica.gone:
            return
        needs = memory_needs.settled_needs(replica.spec, self._machine, found)
        self.ledger.settle(replica.name, needs)
        remembered = found if alone else {}
        self._memories.loaded(self._fingerprint(spec), remembered, replica.load_s or 0.0)
        log.info("memory measured", model=spec.id, replica=replica.name, **needs)
        self._on_change()

    def _fingerprint(self, spec: ModelSpec) -> str:
        return memory_needs.fingerprint(self.prepared(spec), self._machine)
