"""Parts of the manager, as its settings and its machine want them."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from tricorn import logs
from tricorn.errors import StartupError
from tricorn.hardware.facts import Facts
from tricorn.manager.lifecycle.gateway_keeper import GatewayKeeper
from tricorn.manager.lifecycle.listening import bind
from tricorn.manager.memory import budget as memory_budget
from tricorn.manager.memory import measuring
from tricorn.manager.memory.ledger import Ledger, Needs
from tricorn.manager.pool.pool import Pool
from tricorn.manager.replicas.placement import LocalPlacement, suits
from tricorn.manager.replicas.spares import Spares
from tricorn.manager.replicas.worker_process import WorkerProcess
from tricorn.manager.run_directory import RunDirectory
from tricorn.settings.config import Settings
from tricorn.tracing import wanted

if TYPE_CHECKING:
    from tricorn.manager.figures.call_traces import CallTraces

log = logs.get("manager")


def uses_unix_sockets(settings: Settings, run_dir: RunDirectory) -> bool:
    """StartupError where they are asked for and their paths would be too long."""
    wanted = settings.use_unix_sockets()
    if not wanted or run_dir.fits_sockets():
        return wanted
    if settings.transport == "unix":
        raise StartupError(
            f"the path {run_dir.path} is too long for unix sockets; set RUN_DIR to a"
            " shorter one, or TRANSPORT=tcp"
        )
    return False


def gateway(settings: Callable[[], Settings], run_dir: RunDirectory) -> GatewayKeeper:
    """StartupError where the port is taken."""
    # Elsewhere a socket is not handed to a child just so.
    takes = os.name == "posix"
    listener = bind(settings().host, settings().port) if takes else None
    return GatewayKeeper(settings, run_dir.path, listener)


def budget(settings: Settings, machine: Facts) -> Needs:
    """What all models together may take of memory."""
    found = memory_budget.budget(
        machine, max_cpu=settings.max_cpu_memory, max_gpu=settings.max_gpu_memory
    )
    log.info("memory for models", **found)
    return found


def spares(
    settings: Callable[[], Settings],
    placement: Callable[[], LocalPlacement],
    ledger: Ledger,
    machine: Facts,
    *,
    on_measured: Callable[[], None],
) -> Spares[WorkerProcess]:
    """placement: called from the first load on."""

    def usual_threads() -> int | None:
        """Of models that have no number of their own."""
        return settings().model_defaults.threads or settings().max_cpu_threads

    return Spares(
        lambda engine: placement().start_spare(engine, usual_threads()),
        ledger,
        measure=measuring.measure_spare,
        suits=suits,
        mark=lambda engine: (placement().packages(engine), usual_threads()),
        wanted=settings().spare_workers,
        beside_loads=(machine.physical_cores or 1) > 1,
        on_measured=on_measured,
    )


def traces(pool: Pool) -> CallTraces | None:
    """None where none are wanted."""
    if not wanted.wanted(os.environ):
        return None
    # Only here: OpenTelemetry is an extra.
    from tricorn.manager.figures.call_traces import CallTraces
    from tricorn.tracing.export import Traces

    return CallTraces(Traces("manager"), pool)
