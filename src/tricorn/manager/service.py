"""One run of the manager: starts its parts, serves, takes over settings, and ends in order.

    start:  port free? → run directory → catalog → control socket → gateway, default model
    stop:   gateway takes no more → leases come back (at most DRAIN_TIMEOUT_S) → gateway, engines

A first SIGTERM or SIGINT stops in that order, a second one ends everything at once. SIGHUP, and a
change of `.env` or tricorn.yaml, has the settings read again.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tricorn import logs, tls
from tricorn.engines.spec import ModelSpec
from tricorn.errors import InvalidRequest, StartupError, TricornError
from tricorn.file_stamps import Stamps
from tricorn.hardware import facts
from tricorn.hardware.choice import Preferences, require_possible
from tricorn.manager import parts
from tricorn.manager.access import first_key
from tricorn.manager.assembly import Assembly, Hooks
from tricorn.manager.catalog.catalog import Catalog
from tricorn.manager.catalog.default_choice import readiness
from tricorn.manager.desk.overrides import Overrides
from tricorn.manager.lifecycle import stop_signals
from tricorn.manager.lifecycle.announcement import announcement, base_url
from tricorn.manager.lifecycle.hangup import Terminal
from tricorn.manager.lifecycle.reloading import ReadSettings, Reloading
from tricorn.manager.lifecycle.settings_changes import GATEWAY, LIVE
from tricorn.manager.lifecycle.systemd import Systemd
from tricorn.manager.protocol.model_info import ModelInfo
from tricorn.manager.run_directory import RunDirectory
from tricorn.settings.config import Settings
from tricorn.storage.keys import KeyStore
from tricorn.storage.manager_memory import ManagerMemory

RESCAN_S = 3.0
"""How soon a model file that is put into the folder appears in the list by itself."""
ENDING_S = 30.0
"""What processes may take to end once requests have."""
FORCED = 130
"""Exit code after a second signal, as shells have it for Ctrl-C."""

Announce = Callable[[str], None]

log = logs.get("manager")


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
        remembered: ManagerMemory,
        overrides: Overrides,
    ) -> None:
        self._settings = settings
        self._run_dir = run_dir
        self._catalog = catalog
        self._default = default_model
        self._machine = machine
        self._engine_python = engine_python
        self._remembered = remembered
        self._overrides = overrides
        self._keys = KeyStore(settings.data_dir)
        self._shutting_down = False
        self._announced = True  # nothing is announced before `main` has set all up
        self._gateway_connected = False
        self._terminal = Terminal()
        self._systemd = Systemd.from_environment(os.environ)
        self.reload_by(None, {})

    def reload_by(self, read: ReadSettings | None, files: Stamps) -> None:
        """How settings are read again. Before `main`."""
        self._reloading = Reloading(self._settings, read, self._take_over, files)

    async def main(
        self, specs: dict[str, ModelSpec], *, with_gateway: bool, announce: Announce
    ) -> int:
        signals: asyncio.Queue[int] = asyncio.Queue()
        stop_signals.listen(signals)
        self._announce = announce
        self._with_gateway = with_gateway
        self._parts = Assembly(
            lambda: self._settings,
            self._run_dir,
            self._catalog,
            specs,
            self._machine,
            self._engine_python,
            self._remembered,
            self._overrides,
            self._keys,
            Hooks(
                changed=self._announce_once_up,
                gateway_connected=self._on_gateway_connected,
                status=self._status,
                reload=self._reload,
                restart_gateway=self._restart_gateway if with_gateway else None,
            ),
        )
        await self._parts.open()
        self._gateway = (
            parts.gateway(lambda: self._settings, self._run_dir) if with_gateway else None
        )
        log.info("manager started", pid=os.getpid(), run_dir=str(self._run_dir.path))
        self._announced = False
        self._parts.changed()
        if self._default is not None:
            self._systemd.status(f"Loading the model {self._default}")
            self._parts.pool.preload(self._default)
        for spec in specs.values():
            if spec.serving.preload and spec.fault is None:
                self._parts.pool.preload(spec.id)
        try:
            return await self._serve(signals)
        finally:
            await self._parts.close()
            stop_signals.ignore()

    async def _serve(self, signals: asyncio.Queue[int]) -> int:
        """Until a signal, or until the gateway turns out to be hopeless."""
        loop = asyncio.get_running_loop()
        if sys.platform != "win32":
            loop.add_signal_handler(signal.SIGHUP, self._hung_up, signals)
        gateway = loop.create_task(self._gateway.run()) if self._gateway else None
        rescanning = loop.create_task(self._rescan())
        self._watching = loop.create_task(self._systemd.watch())
        first = loop.create_task(signals.get())
        await asyncio.wait({first, gateway} if gateway else {first}, return_when="FIRST_COMPLETED")
        rescanning.cancel()
        if not first.done():
            first.cancel()
            assert gateway is not None
            await gateway  # it has failed, and raises here
        second = loop.create_task(stop_signals.second(signals))
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
        log.info("stopping", leases=self._parts.pool.lease_count())
        self._systemd.stopping(self._settings.drain_timeout_s + ENDING_S)
        self._shutting_down = True
        self._parts.pool.close()
        self._parts.spares.close()
        self._parts.desk.stop()
        if self._gateway is not None and gateway is not None:
            self._gateway.stop()  # it waits for its requests itself, as long as it may
            await asyncio.shield(gateway)
        else:
            try:
                await asyncio.wait_for(self._parts.pool.wait_idle(), self._settings.drain_timeout_s)
            except TimeoutError:
                log.warning("requests were still running", leases=self._parts.pool.lease_count())
        await self._parts.pool.stop()
        log.info("stopped")

    def _kill(self) -> None:
        if self._gateway is not None:
            self._gateway.kill()
        self._parts.pool.kill()
        self._parts.spares.close()

    async def _rescan(self) -> None:
        while True:
            await asyncio.sleep(RESCAN_S)
            self._reloading.look()
            self._parts.pool.rescan()

    # --- settings that change -----------------------------------------------------------------

    def reload(self) -> dict[str, Any]:
        """Read the settings again, and take over what can change while Tricorn runs: as
        `Reloading.reload`."""
        with self._systemd.reloading():
            return self._reloading.reload()

    async def _reload(self) -> dict[str, Any]:
        """As `reload`; when it returns, the models on disk have been looked at as well."""
        told = self.reload()
        await self._parts.desk.refresh()
        return told

    async def _restart_gateway(self) -> dict[str, Any]:
        """Have a new gateway take over, with its settings as they are now. InvalidRequest,
        Conflict, InternalError: then all is as before, but for settings that need no restart."""
        assert self._gateway is not None
        before = self._settings
        told = self._reloading.reload(LIVE | GATEWAY)
        if told["errors"]:
            raise InvalidRequest("; ".join(told["errors"]))
        try:
            tls.check(self._settings)
            replaced = await self._gateway.replace()
        except TricornError as error:
            self._reloading.put_back(before, GATEWAY)
            if isinstance(error, StartupError):
                raise InvalidRequest(error.message) from error
            raise
        return {**replaced, "changed": told["changed"], "needs_restart": told["needs_restart"]}

    def _hung_up(self, signals: asyncio.Queue[int]) -> None:
        if self._terminal.has_gone():
            signals.put_nowait(signal.SIGTERM)
        else:
            self.reload()

    def _take_over(self, settings: Settings, changed: list[str]) -> None:
        """As `Reloading` has it."""
        require_possible(
            self._machine, Preferences(settings.inference_engine, settings.device_type)
        )
        if "default_model" in changed:
            self._default = self._other_default(settings)
        if "api_keys" in changed:
            first_key.configure(settings, self._keys)
        asks = not {"auth", "jwt_secret"}.isdisjoint(changed)
        if asks and (told := first_key.prepare(settings, self._keys)):
            self._announce(told)
        self._settings = settings
        if "log_level" in changed:
            self._parts.desk.monitoring.level(settings.log_level)
        self._parts.configure()

    def _other_default(self, settings: Settings) -> str | None:
        wanted = settings.default_model
        if wanted is None or wanted in settings.models:
            return wanted
        if (served := self._parts.pool.model(wanted)) is not None:
            return served.spec.id
        raise StartupError(f"default_model: the model {wanted!r} does not exist")

    # --- what others are told -----------------------------------------------------------------

    def _status(self, models: list[ModelInfo]) -> tuple[bool, str, str | None]:
        """(ready, reason, default model) for snapshots."""
        if self._shutting_down:
            return False, "Tricorn is shutting down", self._default
        return *readiness(models, self._default), self._default

    def _on_gateway_connected(self, pid: int) -> None:
        if self._gateway is not None and self._gateway.connected(pid):
            self._gateway_connected = True
            self._parts.changed()

    def _announce_once_up(self) -> None:
        if not self._announced and self._is_up():
            self._announced = True
            self._systemd.ready(f"Serving at {base_url(self._settings)}")
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
        served = self._parts.pool.model(self._default) if self._default is not None else None
        return served.info() if served is not None else None
