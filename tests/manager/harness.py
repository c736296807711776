"""A manager for tests: pool and control socket in this process, real engine workers."""

from __future__ import annotations

import asyncio
import functools
import itertools
import os
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from tricorn.engines.spec import ModelSpec
from tricorn.errors import TricornError, from_info
from tricorn.hardware.choice import choose_engine
from tricorn.hardware.facts import Facts
from tricorn.manager.catalog.catalog import Catalog
from tricorn.manager.control import ControlServer
from tricorn.manager.desk.desk import Desk, one_at_a_time
from tricorn.manager.desk.events import Events
from tricorn.manager.desk.overrides import Keeper, Overrides
from tricorn.manager.memory import measuring
from tricorn.manager.memory.books import MemoryBooks
from tricorn.manager.memory.ledger import Ledger
from tricorn.manager.pool.bounds import bounds_of, limits_of
from tricorn.manager.pool.listing import Listing
from tricorn.manager.pool.pool import Pool
from tricorn.manager.protocol.calls import Granted, Progress, Refused
from tricorn.manager.replicas.guard import Supervision
from tricorn.manager.replicas.placement import WORKER, LocalPlacement, suits
from tricorn.manager.replicas.replica import Replica
from tricorn.manager.replicas.spares import Spares
from tricorn.manager.replicas.worker_process import WorkerProcess
from tricorn.manager.run_directory import RunDirectory
from tricorn.settings.config import ModelSettings, Settings

STAND_IN = Path(__file__).parent / "stand_in_worker.py"
SOURCE = Path(__file__).parents[2] / "src"
WAIT_S = 15.0


def settings_for(folder: Path, **given: Any) -> Settings:
    """Settings that touch nothing outside `folder`; `models` as {name: engine_args} of fakes."""
    models = {
        name: ModelSettings.model_validate({"engine": "fake", "engine_args": arguments})
        for name, arguments in given.pop("models", {}).items()
    }
    return Settings(
        models=models,
        model_base_path=folder / "models",
        log_dir=folder / "logs",
        data_dir=folder / "data",
        **(
            {
                "run_dir": folder / "run",
                "max_concurrent_models": 1,
                "spare_workers": 0,
                "hf_cache": False,
            }
            | given
        ),
    )


class Forgetful:
    """Remembers loads as long as it lives."""

    def __init__(self) -> None:
        self.measured: dict[str, dict[str, int]] = {}
        self.seconds: dict[str, float] = {}
        self.names: list[str] = []

    def load_s(self, fingerprint: str) -> float | None:
        return self.seconds.get(fingerprint)

    def used(self, model_id: str) -> None:
        self.names.append(model_id)

    def needs(self) -> Mapping[str, Mapping[str, int]]:
        return self.measured

    def loaded(self, fingerprint: str, needs: Mapping[str, int], load_s: float) -> None:
        self.measured[fingerprint] = dict(needs)
        self.seconds[fingerprint] = load_s


class Client:
    """A gateway's connection, as the pool sees it."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.numbers = itertools.count(1)
        self.answers: dict[int, asyncio.Future[Granted | Refused]] = {}
        self.progress: list[Progress] = []

    def answer(self, message: Granted | Refused | Progress) -> None:
        if isinstance(message, Progress):
            self.progress.append(message)
        else:
            asked = self.answers[message.call]
            if not asked.cancelled():  # whoever waited for it was
                asked.set_result(message)

    def ask(self, model: str, **options: Any) -> int:
        """Acquire; the call's number."""
        call = next(self.numbers)
        self.answers[call] = asyncio.get_running_loop().create_future()
        self.pool.acquire(self, call, model, f"request-{call}", **options)
        return call

    async def outcome(self, call: int) -> Granted:
        """The lease, or the refusal raised."""
        message = await asyncio.wait_for(self.answers[call], WAIT_S)
        if isinstance(message, Refused):
            raise from_info(message.error)
        return message

    async def lease(self, model: str, **options: Any) -> Granted:
        return await self.outcome(self.ask(model, **options))

    async def refusal(self, model: str, **options: Any) -> TricornError:
        try:
            await self.lease(model, **options)
        except TricornError as error:
            return error
        raise AssertionError("a lease was granted")

    def give_back(self, lease: Granted, *, lost: bool = False) -> None:
        self.pool.release(self, lease.lease, lost=lost)


class Manager:
    """What `running` gives."""

    def __init__(
        self, settings: Settings, worker: Path, budget: dict[str, int] | None = None
    ) -> None:
        self.settings = settings
        self.budget = budget or {}
        self.memories = Forgetful()
        self.keeper: Keeper | None = None
        """Where overrides are kept; to be set before `open`."""
        self.started: list[Replica] = []
        """Every replica that was ever made."""
        self._worker = worker
        self._changed = asyncio.Event()

    async def open(self) -> None:
        settings = self.settings
        self.run_dir = RunDirectory.open(settings.runtime_dir())
        self.overrides = Overrides(self.keeper)
        self.events = Events()
        choose = functools.partial(choose_engine, Facts())
        self.catalog = Catalog(settings, choose, entries=self.overrides.entries)
        scan = one_at_a_time(self.catalog.scan)
        self.books = MemoryBooks(
            Ledger(self.budget), Facts(), self.memories, on_change=self._on_change
        )
        self.spares: Spares[WorkerProcess] = Spares(
            lambda engine: self._placement.start_spare(engine, None),
            self.books.ledger,
            measure=measuring.measure_spare,
            suits=suits,
            mark=lambda engine: self._placement.packages(engine),
            wanted=settings.spare_workers,
            engines=frozenset({"fake"}),
            first_s=0.0,
        )
        self.pool = Pool(
            Listing(max_restarts=settings.max_restarts, restart_window_s=settings.restart_window_s),
            self.books,
            scan=scan,
            make_replica=self._make,
            limits=limits_of(settings),
            bounds=bounds_of(settings),
            on_change=self._on_change,
        )
        self.pool.adopt(scan())
        self.desk = Desk(
            lambda: self.settings,
            self.pool,
            scan,
            self.overrides,
            self.events,
            self.reload,
            self.books.ledger,
            spares=self.spares.figures,
        )
        self.control = ControlServer(
            self.pool,
            status=lambda models: (bool(models), "test", None),
            orders=self.desk.orders,
            on_usage=self.desk.take,
            marked=self.desk.marked,
        )
        self.events.publish = self.control.broadcast
        unix = settings.use_unix_sockets()
        await self.control.open(self.run_dir.path / "control.sock" if unix else None)
        self.run_dir.write_control(self.control.address, self.control.secret)
        self._placement = LocalPlacement(
            engine_python=lambda name: Path(sys.executable),
            run_dir=self.run_dir.path,
            log_dir=settings.log_dir,
            control_address=self.control.address,
            control_secret=self.control.secret,
            unix_sockets=unix,
            worker=self._worker,
            take_spare=self.spares.take,
        )

    async def reload(self) -> dict[str, Any]:
        return {"changed": [], "needs_restart": [], "errors": []}

    async def close(self) -> None:
        self.pool.close()
        self.spares.close()
        await self.desk.close()
        await self.pool.stop()
        await self.spares.ended()
        await self.control.close()
        self.desk.monitoring.files.close()
        self.run_dir.close()

    def client(self) -> Client:
        return Client(self.pool)

    def state(self, model: str) -> str:
        served = self.pool.model(model)
        assert served is not None
        return served.state()

    def replica(self, model: str) -> Replica:
        """Its only one."""
        [replica] = self.replicas(model)
        return replica

    def replicas(self, model: str) -> list[Replica]:
        """Those whose processes live, the oldest first."""
        served = self.pool.model(model)
        assert served is not None
        return list(served.replicas.values())

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition, looked at after each change of the pool."""

        async def wait() -> None:
            while not condition():
                self._changed.clear()
                await self._changed.wait()

        await asyncio.wait_for(wait(), WAIT_S)

    def _make(self, name: str, spec: ModelSpec, on_change: Callable[[Replica], None]) -> Replica:
        replica = Replica(
            name,
            spec,
            self._placement,
            load_timeout_s=self.settings.load_timeout_s,
            supervision=Supervision(self.settings.canary_interval_s, self.settings.hang_timeout_s),
            on_change=on_change,
            on_state=self._replica_state,
        )
        self.started.append(replica)
        return replica

    def _replica_state(self, replica: Replica) -> None:
        self.desk.replica_state(replica)
        if replica.state == "READY":
            self.spares.used(replica.spec.engine)

    def _on_change(self) -> None:
        self._changed.set()
        self.spares.look()
        self.control.push_soon()


@asynccontextmanager
async def running(
    settings: Settings,
    *,
    worker: Path = WORKER,
    budget: dict[str, int] | None = None,
    keeper: Keeper | None = None,
) -> AsyncIterator[Manager]:
    """A manager in the running event loop. budget: of the ledger; None: it has no bounds. keeper:
    of what is to outlive it."""
    manager = Manager(settings, worker, budget)
    manager.keeper = keeper
    await manager.open()
    try:
        yield manager
    finally:
        await manager.close()


@contextmanager
def running_in_thread(settings: Settings) -> Iterator[Manager]:
    """A manager with an event loop of its own, for clients that block."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    def do(work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(WAIT_S)

    async def make() -> Manager:
        manager = Manager(settings, WORKER)
        await manager.open()
        return manager

    manager = do(make())
    try:
        yield manager
    finally:
        do(manager.close())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def short_folder() -> tempfile.TemporaryDirectory[str]:
    """A folder with a path short enough for unix sockets, which pytest's are not everywhere."""
    return tempfile.TemporaryDirectory(prefix="tricorn-")


def is_running(pid: int) -> bool:
    """Whether a process lives; a zombie does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    if not stat.exists():
        return not Path("/proc/self").exists()
    return stat.read_text().rpartition(")")[2].split()[0] != "Z"
