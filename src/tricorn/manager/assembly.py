"""All parts of one manager, put together: who is told of what, and who asks whom."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tricorn import logs
from tricorn.engines.spec import ModelSpec
from tricorn.hardware.facts import Facts
from tricorn.manager import parts
from tricorn.manager.access.usage_ledger import UsageLedger
from tricorn.manager.catalog.catalog import Catalog
from tricorn.manager.control import ControlServer
from tricorn.manager.desk.desk import Desk, one_at_a_time
from tricorn.manager.desk.events import Events
from tricorn.manager.desk.overrides import Overrides
from tricorn.manager.desk.service_orders import Reload, RestartGateway
from tricorn.manager.memory import available
from tricorn.manager.memory.books import MemoryBooks
from tricorn.manager.memory.ledger import Ledger
from tricorn.manager.pool.bounds import bounds_of, limits_of
from tricorn.manager.pool.listing import Listing
from tricorn.manager.pool.pool import Pool
from tricorn.manager.protocol.model_info import ModelInfo
from tricorn.manager.replicas.guard import Supervision
from tricorn.manager.replicas.placement import LocalPlacement
from tricorn.manager.replicas.replica import Replica
from tricorn.manager.run_directory import SETTINGS_FILE, RunDirectory
from tricorn.settings.config import Settings
from tricorn.storage.keys import KeyStore
from tricorn.storage.manager_memory import ManagerMemory


@dataclass(frozen=True)
class Hooks:
    """What the parts have the service do."""

    changed: Callable[[], None]
    """Called after each change of what Tricorn serves."""
    gateway_connected: Callable[[int], None]
    """One of its workers; its pid."""
    status: Callable[[list[ModelInfo]], tuple[bool, str, str | None]]
    """(ready, reason, default model) for snapshots."""
    reload: Reload
    restart_gateway: RestartGateway | None
    """None where the gateway is not the manager's."""


class Assembly:
    """Make it on the event loop, `open` it before anything is asked of it, and `close` it."""

    def __init__(
        self,
        settings: Callable[[], Settings],
        run_dir: RunDirectory,
        catalog: Catalog,
        specs: Mapping[str, ModelSpec],
        machine: Facts,
        engine_python: Callable[[str], Path],
        remembered: ManagerMemory,
        overrides: Overrides,
        keys: KeyStore,
        hooks: Hooks,
    ) -> None:
        """settings: those that hold now. specs: what the catalog found first. StartupError where
        these do not go together."""
        own = settings()
        self._settings = settings
        self._hooks = hooks
        self._run_dir = run_dir
        self._catalog = catalog
        self._machine = machine
        self._engine_python = engine_python
        self._remembered = remembered
        self._unix = parts.uses_unix_sockets(own, run_dir)
        free = available.of_machine(machine)
        self._ledger = Ledger(parts.budget(own, machine), free)
        books = MemoryBooks(
            self._ledger, machine, remembered, free, on_change=lambda: self.pool.wake()
        )
        self.spares = parts.spares(
            settings,
            lambda: self._placement,
            self._ledger,
            machine,
            on_measured=free.forget,
        )
        events = Events()
        scan = one_at_a_time(catalog.scan)
        self.pool = Pool(
            Listing(max_restarts=own.max_restarts, restart_window_s=own.restart_window_s),
            books,
            scan=scan,
            make_replica=self._make_replica,
            limits=limits_of(own),
            bounds=bounds_of(own),
            on_change=self.changed,
        )
        self._traces = parts.traces(self.pool)
        self.pool.adopt(specs)
        self.desk = Desk(
            settings,
            self.pool,
            scan,
            overrides,
            events,
            hooks.reload,
            self._ledger,
            self._level_set,
            hooks.restart_gateway,
            self.spares.figures,
        )
        logs.copy_to(self.desk.monitoring.files.service)
        self._usage = UsageLedger(keys)
        self.control = ControlServer(
            self.pool,
            status=hooks.status,
            on_gateway=hooks.gateway_connected,
            orders=self.desk.orders,
            on_usage=self.desk.take,
            marked=self.desk.marked,
            ledger=self._usage,
            traces=self._traces,
        )
        events.publish = self.control.broadcast

    async def open(self) -> None:
        """Listen for gateways and engine workers, and write down where."""
        await self.control.open(self._run_dir.path / "control.sock" if self._unix else None)
        own = self._settings()
        self._placement = LocalPlacement(
            engine_python=self._engine_python,
            run_dir=self._run_dir.path,
            log_dir=own.log_dir,
            control_address=self.control.address,
            control_secret=self.control.secret,
            unix_sockets=self._unix,
            log_level=own.log_level,
            log_json=own.log_json(),
            take_spare=self.spares.take,
        )
        self._run_dir.write(SETTINGS_FILE, own.model_dump_json())
        self._run_dir.write_control(self.control.address, self.control.secret)

    def configure(self) -> None:
        """Go by the settings as they are now. Running models are left alone, but for those whose
        own settings have changed."""
        now = self._settings()
        self.desk.monitoring.configure()
        self._catalog.configure(now)
        self._ledger.set_budget(parts.budget(now, self._machine))
        self.pool.configure(limits_of(now), bounds_of(now))
        self.spares.configure(now.spare_workers)
        self._run_dir.write(SETTINGS_FILE, now.model_dump_json())
        self.pool.rescan()
        self.changed()

    def changed(self) -> None:
        """What Tricorn serves, or whether: for all who go by it."""
        self.control.push_soon()
        self.spares.look()
        self._hooks.changed()

    async def close(self) -> None:
        """End all of it, bounded; what still runs is asked to end."""
        self.pool.close()
        self.spares.close()
        await self.desk.close()
        await self.pool.stop()
        await self.spares.ended()
        await self.control.close()
        if self._traces is not None:
            await asyncio.to_thread(self._traces.close)
        await self._usage.close()
        self._remembered.close()
        logs.copy_to(None)
        self.desk.monitoring.files.close()

    def _make_replica(
        self, name: str, spec: ModelSpec, on_change: Callable[[Replica], None]
    ) -> Replica:
        now = self._settings()
        return Replica(
            name,
            spec,
            self._placement,
            load_timeout_s=now.load_timeout_s,
            supervision=Supervision(now.canary_interval_s, now.hang_timeout_s),
            on_change=on_change,
            on_state=self._replica_state,
        )

    def _replica_state(self, replica: Replica) -> None:
        self.desk.replica_state(replica)
        if self._traces is not None:
            self._traces.replica_state(replica)
        if replica.state == "READY":
            self.spares.used(replica.spec.engine)

    def _level_set(self) -> None:
        self._placement.log_level = logs.level()
        self.control.push_soon()
