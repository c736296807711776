"""A replica: one engine process serving one model, and its life as a state machine.

`replica_states` draws the states. A `Replica` object lives through one process. Only methods of
this class write the state, on the event loop, all through `_become`, which refuses an arrow that is
not drawn.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from tricorn import logs
from tricorn.engines.base import EngineStats
from tricorn.engines.spec import Adapter, LoadedModel, ModelSpec
from tricorn.errors import (
    EngineLost,
    ErrorInfo,
    ModelLoadFailed,
    ServiceError,
    TricornError,
    from_info,
)
from tricorn.manager.protocol.messages import ManagerMessage
from tricorn.manager.protocol.model_info import ReplicaState
from tricorn.manager.protocol.worker import (
    Canary,
    DropAdapter,
    Park,
    Parked,
    Ready,
    SetLevel,
    Stop,
    Wake,
    WorkerMessage,
)
from tricorn.manager.replicas.guard import UNSUPERVISED, Guard, Supervision
from tricorn.manager.replicas.log_tail import kept, redacted
from tricorn.manager.replicas.placement import Engine, Placement
from tricorn.manager.replicas.states import ARROWS
from tricorn.manager.replicas.worker_link import WorkerLink, first, settle

STOP_WAIT_S = 6.0
"""Between the Stop message and SIGTERM; a worker gives its running step 5 s."""
EXIT_WAIT_S = 1.0
"""After a lost control connection, how long to wait for the exit that tells why."""
SUSPECT_S = 0.25
"""A replica whose data socket broke is not leased before its exit had this long to show."""

log = logs.get("replica")


class Replica:
    """Created UNLOADED; `on_change` is called after every change that the pool may act on."""

    def __init__(
        self,
        name: str,
        spec: ModelSpec,
        placement: Placement,
        *,
        load_timeout_s: float,
        supervision: Supervision = UNSUPERVISED,
        on_change: Callable[[Replica], None],
        on_state: Callable[[Replica], None] = lambda replica: None,
    ) -> None:
        """on_state: called in each new state, before anybody acts on it."""
        self.name = name
        self.spec = spec
        self.state: ReplicaState = "UNLOADED"
        self.failure: ServiceError | None = None
        """Why it is FAILED."""
        self.failed_loading = False
        self.found_at_fault = False
        """It failed by being looked at, used or not: another one is to take its place."""
        self.log_tail: list[str] = []
        """The engine's last lines, once it has failed; nothing secret of its environment."""
        self.gone = False
        """No process any more; its memory has come back."""
        self.suspect = False
        """Not to be leased until it is known to live."""
        self.loaded: LoadedModel | None = None
        self.address = ""
        self.data_secret = ""
        self.pid: int | None = None
        self.ready_since = 0.0
        """On the event loop's clock."""
        self.load_s: float | None = None
        self.unload_reason = ""
        """Why it was told to leave: the first that said so; empty before."""
        self.leases = 0
        """Kept by the pool, …"""
        self.last_used = 0.0
        """… and this, on the event loop's clock: when it was last leased or given back."""
        self._placement = placement
        self._load_timeout_s = load_timeout_s
        self._supervision = supervision
        self._on_change = on_change
        self._on_state = on_state
        self._loop = asyncio.get_running_loop()
        self._link = WorkerLink()
        self._log_level = logs.level()
        """That its worker was started with."""
        self._parks = False
        """What it is drained for."""
        self._parking: asyncio.Future[None] = self._loop.create_future()
        self._waking: asyncio.Future[None] = self._loop.create_future()
        self._stopping: asyncio.Future[None] = self._loop.create_future()
        self._engine: Engine | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def progress(self) -> float | None:
        """Of its load, 0 to 1, as the engine told it."""
        return self._link.progress

    @property
    def stats(self) -> EngineStats | None:
        """The engine's newest figures."""
        return self._link.stats

    # --- asked by the pool ------------------------------------------------------------------

    def start(self) -> None:
        """UNLOADED → LOADING; returns at once."""
        self._become("LOADING")
        self._task = self._loop.create_task(self._live(), name=f"replica {self.name}")

    def drain(self, *, park: bool = False) -> None:
        """READY → DRAINING: no new leases; call `leave` when the last one is back.

        park: to keep its process then, where `loaded.capabilities.park`.
        """
        self._become("DRAINING")
        self._parks = park

    def leave(self) -> None:
        """Without leases: give its place up, as `drain` said; harmless when it is doing so."""
        if self.state == "DRAINING" and self._parks:
            settle(self._parking)
        else:
            self.stop()

    def wake(self) -> None:
        """PARKED → LOADING; returns at once."""
        self.unload_reason = ""
        self._become("LOADING")
        self._parking = self._loop.create_future()
        settle(self._waking)

    def stop(self) -> None:
        """End the process; ends as UNLOADED. Harmless when it is ending already."""
        settle(self._stopping)

    def kill(self) -> None:
        """End the process now, without asking it first."""
        self.stop()
        if self._engine is not None:
            self._engine.kill()

    def drop_adapter(self, adapter: Adapter) -> None:
        """Tell the engine that this version of an adapter is gone or replaced."""
        if self.loaded and self.loaded.capabilities.adapters:
            self._link.tell(DropAdapter(adapter))

    def set_log_level(self, level: str) -> None:
        """Of its worker, from now on."""
        self._log_level = level
        self._link.tell(SetLevel(level))

    def is_leaving(self) -> bool:
        """Whether its process is on its way out: no new leases, and its place comes free."""
        return self._stopping.done() or self.state not in ("LOADING", "READY")

    def is_parked(self) -> bool:
        """Whether it can be woken."""
        return self.state == "PARKED" and not self._stopping.done()

    def is_leasable(self) -> bool:
        """Whether a request may be sent to it now."""
        return self.state == "READY" and not (self.suspect or self._stopping.done())

    async def ended(self) -> None:
        """Wait until the process is gone."""
        if self._task is not None:
            await asyncio.wait({self._task})

    def check(self) -> None:
        """A gateway lost its data socket: don't lease it again before it is known to live.

        A process that died closes all its sockets together, so its control connection ends within
        a moment; if that has not happened, only that one data connection broke.
        """
        if self.state == "READY" and not self.suspect:
            self.suspect = True
            self._loop.call_later(SUSPECT_S, self._clear)

    def _clear(self) -> None:
        if self.state == "READY" and not self._link.lost.done():
            self.suspect = False
            self._on_change(self)

    # --- told by the control server -----------------------------------------------------------

    def attached(self, send: Callable[[ManagerMessage], None]) -> bool:
        """The worker has connected; False where this replica already has its worker."""
        if self.gone or not self._link.attach(send):
            return False
        if self._log_level != logs.level():
            self.set_log_level(logs.level())  # it has changed while the process started
        if self._stopping.done():
            send(Stop())
        return True

    def received(self, message: WorkerMessage) -> None:
        self._link.received(message)

    def detached(self) -> None:
        """The worker's control connection ended."""
        self.suspect = True
        self._link.lose()

    # --- its life -----------------------------------------------------------------------------

    def _become(self, state: ReplicaState) -> None:
        if state not in ARROWS[self.state]:
            raise RuntimeError(f"replica {self.name}: no arrow from {self.state} to {state}")
        self.state = state
        self._on_state(self)
        log.info("replica state", state=state, model=self.spec.id, replica=self.name, pid=self.pid)

    async def _live(self) -> None:
        try:
            self._engine = await self._placement.start(self.name, self.spec)
        except (OSError, TricornError) as error:
            self.log_tail = kept([str(error)], self.spec.binding.env)  # it has written nothing
            self._fail(f"its process cannot be started: {error}")
        else:
            await self._watch(self._engine)
        self.gone = True
        self._on_change(self)

    async def _watch(self, engine: Engine) -> None:
        self.pid, self.data_secret = engine.pid, engine.data_secret
        ended = self._loop.create_task(engine.wait())
        try:
            await self._load(engine, ended)
            while self.state == "READY":
                fault = await self._serve(ended)
                if self._stopping.done():
                    break
                if fault is not None:
                    self.found_at_fault = True
                    engine.kill()  # it would not listen
                    self._fail(fault, engine)
                elif self._parking.done():
                    await self._rest(engine, ended)
                else:
                    self._fail(await self._death(ended), engine)
        finally:
            if self.state == "LOADING":
                engine.kill()  # it has nothing to finish, and may not listen while it loads
            # Without its control connection it cannot be asked; it is signalled at once.
            asked = self._link.stop()
            await engine.end(STOP_WAIT_S if asked else 0.0)
            ended.cancel()
            if self.state != "FAILED":
                self._become("UNLOADED")

    async def _load(self, engine: Engine, ended: asyncio.Task[str]) -> None:
        started = time.monotonic()
        await self._answered(ended)
        if self._stopping.done():
            return
        if self._link.answer.done():
            answer = self._link.answer.result()
            if isinstance(answer, ErrorInfo):
                self._fail(from_info(answer).message, engine)
                return
            if isinstance(answer, Ready):
                self.loaded, self.address = answer.model, answer.address
            self.suspect = self._link.lost.done()
            self.load_s = time.monotonic() - started
            self.ready_since = self._loop.time()
            self._become("READY")
            self._on_change(self)
        elif ended.done() or self._link.lost.done():
            self._fail(await self._death(ended), engine)
        else:
            self._fail(f"it was not ready within {self._load_timeout_s:g} s", engine)

    async def _serve(self, ended: asyncio.Task[str]) -> str | None:
        """READY, and DRAINING, until something happens; the fault that was found by looking."""
        events = (self._stopping, ended, self._link.lost, self._parking)
        guard = Guard(self._supervision, self._loop.time(), lambda: self._link.tell(Canary()))
        self._link.guard = guard
        try:
            while True:
                await first(*events, timeout_s=guard.tick_s)
                if any(event.done() for event in events):
                    return None
                idle = self.state == "READY" and not self.leases
                fault = guard.look(self._loop.time(), idle=idle)
                if fault is not None:
                    return f"its engine {fault}"
        finally:
            self._link.guard = None

    async def _rest(self, engine: Engine, ended: asyncio.Task[str]) -> None:
        """DRAINING → PARKED → LOADING and on; or stopped, on the way, where that cannot be."""
        self._link.order(Park())
        await self._answered(ended)
        if not self._stopping.done():
            answer = self._link.answer.result() if self._link.answer.done() else None
            if isinstance(answer, Parked):
                self._become("PARKED")
                self._on_change(self)
                await first(self._waking, self._stopping, ended, self._link.lost)
            else:
                reason = answer.message if isinstance(answer, ErrorInfo) else "no answer"
                log.warning("could not be parked", model=self.spec.id, reason=reason)
        if self.state == "LOADING":
            self._waking = self._loop.create_future()
            self._link.order(Wake())
            await self._load(engine, ended)
        else:
            self.stop()  # its place is wanted, or it has died without anybody needing it

    async def _answered(self, ended: asyncio.Task[str]) -> None:
        """Wait for the answer, or for what makes it needless; at most as long as a load."""
        await first(
            self._link.answer,
            self._stopping,
            ended,
            self._link.lost,
            timeout_s=self._load_timeout_s,
        )

    async def _death(self, ended: asyncio.Task[str]) -> str:
        await first(ended, timeout_s=EXIT_WAIT_S)
        if ended.done():
            return f"its engine process {ended.result()}"
        return "its engine process closed the control connection"

    def _fail(self, reason: str, engine: Engine | None = None) -> None:
        self.failed_loading = self.state == "LOADING"
        env = self.spec.binding.env
        reason = redacted(reason, env)
        if engine is not None:
            self.log_tail = kept(engine.log_tail(), env)
        if self.failed_loading:
            self.failure = ModelLoadFailed(f"the model {self.spec.id} cannot be loaded: {reason}")
        else:
            self.failure = EngineLost(f"the model {self.spec.id} failed: {reason}")
        log.error(
            "replica failed",
            replica=self.name,
            model=self.spec.id,
            reason=reason,
            log_tail="\n".join(self.log_tail),
        )
        self._become("FAILED")
        self._on_change(self)
