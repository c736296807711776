"""The manager as a whole: puts its parts together, runs them, and ends them in order.

    start:  port free? → run directory → catalog → control socket → gateway, default model
    stop:   gateway takes no more → leases come back (at most DRAIN_TIMEOUT_S) → gateway, engines

A first SIGTERM or SIGINT stops in that order, a second one ends everything at once. Signal handlers
only enqueue.
"""

from __future__ import annotations

import asyncio
import functools
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from tricorn import logs
from tricorn.config import Settings
from tricorn.engines.spec import ModelSpec
from tricorn.errors import StartupError
from tricorn.hardware import facts
from tricorn.hardware.choice import Preferences, choose_engine, require_possible
from tricorn.manager.announcement import announcement
from tricorn.manager.catalog import Catalog
from tricorn.manager.control import ControlServer
from tricorn.manager.gateway_process import GatewayProcess, check_port
from tricorn.manager.placement import LocalPlacement
from tricorn.manager.pool import Pool
from tricorn.manager.protocol import ModelInfo
from tricorn.manager.replica import Replica
from tricorn.manager.run_directory import SETTINGS_FILE, RunDirectory

RESCAN_S = 3.0
"""How soon a model file that is put into the folder appears in the list by itself."""
REPEAT_S = 0.5
"""A signal so soon after the first one is the same wish: timeout(1) and wrappers such as `uv run`
signal both the process and its group."""
FORCED = 130
"""Exit code after a second signal, as shells have it for Ctrl-C."""

Announce = Callable[[str], None]

log = logs.get("manager")


def say(text: str) -> None:
    """Print for people, at once."""
    print(text, flush=True)


def run(
    settings: Settings,
    *,
    engine_python: Callable[[str], Path],
    with_gateway: bool = True,
    announce: Announce = say,
) -> int:
    """Serve until a signal; the exit code. StartupError where it cannot start.

    For a process's main thread, which has nothing else to do: signals are ignored afterwards.

    engine_python: the Python executable of an engine's environment; called before each load.
    announce: gets what people want to see at start, once it can be used.
    """
    if with_gateway:
        check_port(settings.host, settings.port)
    machine = facts.detect(engines_dir=settings.engines_dir, folder=settings.data_dir)
    # An impossible wish is an error of the start.
    require_possible(machine, Preferences(settings.inference_engine, settings.device_type))
    catalog = Catalog(settings, functools.partial(choose_engine, machine), machine)
    specs = catalog.scan()
    default_model = pick_default(settings, specs)
    with RunDirectory.open(settings.runtime_dir()) as run_dir:
        service = Service(settings, run_dir, catalog, default_model, machine, engine_python)
        return asyncio.run(service.main(specs, with_gateway=with_gateway, announce=announce))


def pick_default(settings: Settings, specs: dict[str, ModelSpec]) -> str | None:
    """The model to load at start; None where there is none that could be. StartupError where the
    one that was asked for is not there or broken."""
    wanted = settings.default_model
    if wanted is None:
        return next((spec.id for spec in specs.values() if spec.fault is None), None)
    spec = specs.get(wanted)
    if spec is None:
        there = ", ".join(specs) or "none"
        raise StartupError(
            f"the model {wanted!r} does not exist; there are: {there}"
            f" (looked for in {settings.model_base_path})"
        )
    if spec.fault is not None:
        raise StartupError(f"the model {wanted} cannot be loaded: {spec.fault}")
    return wanted


class Service:
    """One run of the manager."""

    def __init__(
        self,
        settings: Settings,
        run_dir: RunDirectory,
        catalog: Catalog,
        default_model: str | None,
        machine: facts.Facts,
        engine_python: Callable[[str], Path],
    ) -> None:
        self._settings = settings
        self._run_dir = run_dir
        self._catalog = catalog
        self._default = default_model
        self._machine = machine
        self._engine_python = engine_python
        self._shutting_down = False
        self._announced = True  # nothing is announced before `main` has set all up
        self._gateway_connected = False

    async def main(
        self, specs: dict[str, ModelSpec], *, with_gateway: bool, announce: Announce
    ) -> int:
        signals: asyncio.Queue[int] = asyncio.Queue()
        _on_signals(signals)
        self._announce = announce
        self._with_gateway = with_gateway
        self._unix = self._use_unix_sockets()
        self._pool = Pool(
            scan=self._catalog.scan,
            make_replica=self._make_replica,
            max_models=self._settings.max_concurrent_models or sys.maxsize,
            max_parked=self._settings.max_parked_models,
            max_waiting=self._settings.max_waiting,
            max_wait_s=self._settings.max_wait_s,
            on_change=self._changed,
        )
        self._pool.adopt(specs)
        self._control = ControlServer(
            self._pool, status=self._status, on_gateway=self._on_gateway_connected
        )
        await self._control.open(self._run_dir.path / "control.sock" if self._unix else None)
        self._placement = self._make_placement()
        self._run_dir.write(SETTINGS_FILE, self._settings.model_dump_json())
        self._run_dir.write_control(self._control.address, self._control.secret)
        self._gateway = GatewayProcess(self._settings, self._run_dir.path) if with_gateway else None
        log.info("manager started", pid=os.getpid(), run_dir=str(self._run_dir.path))
        self._announced = False
        self._changed()
        if self._default is not None:
            self._pool.preload(self._default)
        try:
            return await self._serve(signals)
        finally:
            self._pool.close()
            await self._pool.stop()
            await self._control.close()
            _ignore_signals()

    async def _serve(self, signals: asyncio.Queue[int]) -> int:
        """Until a signal, or until the gateway turns out to be hopeless."""
        loop = asyncio.get_running_loop()
        gateway = loop.create_task(self._gateway.run()) if self._gateway else None
        rescanning = loop.create_task(self._rescan())
        first = loop.create_task(signals.get())
        await asyncio.wait({first, gateway} if gateway else {first}, return_when="FIRST_COMPLETED")
        rescanning.cancel()
        if not first.done():
            first.cancel()
            assert gateway is not None
            await gateway  # it has failed, and raises here
        second = loop.create_task(_second(signals))
        draining = loop.create_task(self._drain(gateway))
        await asyncio.wait({second, draining}, return_when="FIRST_COMPLETED")
        if draining.done():
            second.cancel()
            draining.result()
            return 0
        log.warning("a second signal: ending at once")
        draining.cancel()
        self._kill()
        await asyncio.wait({draining, gateway} if gateway else {draining})
        return FORCED

    async def _drain(self, gateway: asyncio.Task[None] | None) -> None:
        """Let running requests finish, then end everything."""
        log.info("stopping", leases=self._pool.lease_count())
        self._shutting_down = True
        self._pool.close()
        if self._gateway is not None and gateway is not None:
            self._gateway.stop()  # it waits for its requests itself, as long as it may
            await asyncio.shield(gateway)
        else:
            try:
                await asyncio.wait_for(self._pool.wait_idle(), self._settings.drain_timeout_s)
            except TimeoutError:
                log.warning("requests were still running", leases=self._pool.lease_count())
        await self._pool.stop()
        log.info("stopped")

    def _kill(self) -> None:
        if self._gateway is not None:
            self._gateway.kill()
        self._pool.kill()

    async def _rescan(self) -> None:
        while True:
            await asyncio.sleep(RESCAN_S)
            self._pool.rescan()

    # --- parts --------------------------------------------------------------------------------

    def _use_unix_sockets(self) -> bool:
        wanted = self._settings.use_unix_sockets()
        if not wanted or self._run_dir.fits_sockets():
            return wanted
        if self._settings.transport == "unix":
            raise StartupError(
                f"the path {self._run_dir.path} is too long for unix sockets; set RUN_DIR to a"
                " shorter one, or TRANSPORT=tcp"
            )
        return False

    def _make_placement(self) -> LocalPlacement:
        return LocalPlacement(
            engine_python=self._engine_python,
            run_dir=self._run_dir.path,
            log_dir=self._settings.log_dir,
            control_address=self._control.address,
            control_secret=self._control.secret,
            unix_sockets=self._unix,
            log_level=self._settings.log_level,
            log_json=self._settings.log_json(),
        )

    def _make_replica(
        self, name: str, spec: ModelSpec, on_change: Callable[[Replica], None]
    ) -> Replica:
        return Replica(
            name,
            spec,
            self._placement,
            load_timeout_s=self._settings.load_timeout_s,
            on_change=on_change,
        )

    # --- what others are told -----------------------------------------------------------------

    def _status(self, models: list[ModelInfo]) -> tuple[bool, str, str | None]:
        """(ready, reason, default model) for snapshots."""
        if self._shutting_down:
            return False, "Tricorn is shutting down", self._default
        return *readiness(models, self._default), self._default

    def _on_gateway_connected(self, pid: int) -> None:
        if self._gateway is not None and self._gateway.connected(pid):
            self._gateway_connected = True
            self._changed()

    def _changed(self) -> None:
        self._control.push_soon()
        if not self._announced and self._is_up():
            self._announced = True
            self._announce(
                announcement(
                    self._settings,
                    self._machine,
                    model=self._model_info(),
                    with_gateway=self._with_gateway,
                )
            )

    def _is_up(self) -> bool:
        if self._shutting_down or (self._with_gateway and not self._gateway_connected):
            return False
        info = self._model_info()
        return info is None or info.state in ("READY", "FAILED")

    def _model_info(self) -> ModelInfo | None:
        served = self._pool.model(self._default) if self._default is not None else None
        return served.info() if served is not None else None


def readiness(models: list[ModelInfo], default_model: str | None) -> tuple[bool, str]:
    """Whether a request could be served now, and why not."""
    if any(model.state == "READY" for model in models):
        return True, "ready"
    default = next((model for model in models if model.id == default_model), None)
    if default is not None and default.state in ("LOADING", "FAILED"):
        reason = default.trouble or f"the model {default.id} is loading"
        return False, reason
    if not any(model.fault is None for model in models):
        return False, "there is no model that could be served"
    return True, "models are loaded when they are asked for"


def _ignore_signals() -> None:
    """What is left is to remove files and to exit; no impatient signal shall stop that half-way."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        if sys.platform != "win32":
            loop.remove_signal_handler(number)
        signal.signal(number, signal.SIG_IGN)


async def _second(signals: asyncio.Queue[int]) -> None:
    loop = asyncio.get_running_loop()
    first_at = loop.time()
    await signals.get()
    while loop.time() - first_at < REPEAT_S:
        await signals.get()


def _on_signals(queue: asyncio.Queue[int]) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        if sys.platform == "win32":
            signal.signal(
                number, lambda got, _: loop.call_soon_threadsafe(queue.put_nowait, int(got))
            )
        else:
            loop.add_signal_handler(number, queue.put_nowait, int(number))
