"""The manager's desk: what carries out gateways' orders, put together."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable, Mapping
from typing import Any

from tricorn.engines.spec import ModelSpec
from tricorn.hub.environment import of_pull
from tricorn.manager.desk.downloads import Downloads
from tricorn.manager.desk.events import STOPPING, Events
from tricorn.manager.desk.instances import Instances
from tricorn.manager.desk.model_orders import ModelOrders
from tricorn.manager.desk.orders import Orders
from tricorn.manager.desk.overrides import Overrides
from tricorn.manager.desk.pull_orders import PullOrders
from tricorn.manager.desk.service_orders import Reload, RestartGateway, ServiceOrders
from tricorn.manager.figures.monitoring import PULL_LOG, Monitoring
from tricorn.manager.figures.process_figures import ProcessFigures
from tricorn.manager.figures.system_figures import SystemFigures
from tricorn.manager.figures.usage import UsageTotals
from tricorn.manager.memory.ledger import Ledger
from tricorn.manager.pool.pool import Pool
from tricorn.manager.protocol.model_info import ModelInfo
from tricorn.manager.protocol.usage import Usage
from tricorn.manager.replicas.replica import Replica
from tricorn.settings.config import Settings

Scan = Callable[[], Mapping[str, ModelSpec]]


class Desk:
    """settings: those that hold now. scan: as the pool's, and safe to be called beside it.
    ledger: the pool's. on_level: called when another level of logging has been set.
    restart_gateway: None where the gateway is not the manager's. spares: `Spares.figures`."""

    def __init__(
        self,
        settings: Callable[[], Settings],
        pool: Pool,
        scan: Scan,
        overrides: Overrides,
        events: Events,
        reload: Reload,
        ledger: Ledger,
        on_level: Callable[[], None] = lambda: None,
        restart_gateway: RestartGateway | None = None,
        spares: Callable[[], list[dict[str, Any]]] = list,
    ) -> None:
        self._pool = pool
        self._scan = scan
        self._events = events
        self.usage = UsageTotals()
        own = settings()
        self._downloads = Downloads(
            lambda: settings().model_base_path,
            environment=lambda: of_pull(settings(), os.environ),
            log_file=own.log_dir / PULL_LOG,
            rescan=self.refresh,
        )
        models = ModelOrders(pool, overrides, self.refresh, settings, events)
        self._instances = Instances(pool, overrides, models, self.refresh, settings, events)
        processes = ProcessFigures()
        figures = SystemFigures(pool.models, self.usage, processes, spares)
        self.monitoring = Monitoring(
            settings, pool, ledger, self._downloads, processes, on_level, spares
        )
        self.orders = Orders(
            models.commands()
            | self._instances.commands()
            | PullOrders(self._downloads).commands()
            | ServiceOrders(figures, events, reload, restart_gateway).commands()
            | self.monitoring.commands()
        )
        loop = asyncio.get_running_loop()
        self._watching = [
            loop.create_task(one) for one in (self._instances.watch(), self.monitoring.watch())
        ]

    async def refresh(self) -> Mapping[str, ModelSpec]:
        """Scan now, and have the pool take over what was found."""
        specs = await asyncio.to_thread(self._scan)
        self._pool.adopt(specs)
        return specs

    def marked(self, models: list[ModelInfo]) -> list[ModelInfo]:
        """The models as gateways are told of them; also what changed of them is told here."""
        marked = self._instances.marked(models)
        self._events.listing(model for model in marked if model.instance_of is None)
        return marked

    def take(self, usage: Usage) -> None:
        """A gateway has told what it served."""
        self.usage.add(usage)
        self.monitoring.take(usage)

    def replica_state(self, replica: Replica) -> None:
        """As `Replica`'s on_state."""
        self._events.replica_state(replica)
        self.monitoring.operations.replica_state(replica)

    def stop(self) -> None:
        """Refuse orders, end those that are carried out."""
        self.orders.close()
        self._events.emit(STOPPING)

    async def close(self) -> None:
        """After `stop`, or in its place."""
        self.orders.close()
        for task in self._watching:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self._downloads.close()


def one_at_a_time(scan: Scan) -> Scan:
    """The same, for several threads."""
    lock = threading.Lock()

    def locked() -> Mapping[str, ModelSpec]:
        with lock:
            return scan()

    return locked
