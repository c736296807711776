"""The manager's process: what has to be in order before it serves, then the service."""

from __future__ import annotations

import asyncio
import functools
import os
from collections.abc import Callable
from pathlib import Path

from tricorn.errors import StartupError
from tricorn.file_stamps import Stamps
from tricorn.hardware import facts
from tricorn.hardware.choice import Preferences, choose_engine, require_possible
from tricorn.manager.access import first_key
from tricorn.manager.catalog.catalog import Catalog
from tricorn.manager.catalog.default_choice import pick_default
from tricorn.manager.desk.overrides import Overrides
from tricorn.manager.lifecycle.listening import check_port
from tricorn.manager.lifecycle.reloading import ReadSettings
from tricorn.manager.run_directory import RunDirectory
from tricorn.manager.service import Announce, Service
from tricorn.settings.config import Settings
from tricorn.storage.keys import KeyStore
from tricorn.storage.manager_memory import ManagerMemory
from tricorn.tracing import wanted


def say(text: str) -> None:
    """Print for people, at once."""
    print(text, flush=True)


def run(
    settings: Settings,
    *,
    engine_python: Callable[[str], Path],
    with_gateway: bool = True,
    announce: Announce = say,
    read_settings: ReadSettings | None = None,
    files: Stamps | None = None,
) -> int:
    """Serve until a signal; the exit code. StartupError where it cannot start.

    For a process's main thread, which has nothing else to do: signals are ignored afterwards.

    engine_python: the Python executable of an engine's environment; called before each load.
    announce: gets what people want to see at start, once it can be used.
    read_settings: for a reload; files: whose change is one, as they were when they were read.
    """
    if with_gateway:
        check_port(settings.host, settings.port)
    if fault := wanted.fault(os.environ):
        raise StartupError(fault)
    machine = facts.detect(engines_dir=settings.engines_dir, folder=settings.data_dir)
    # An impossible wish is an error of the start.
    require_possible(machine, Preferences(settings.inference_engine, settings.device_type))
    with RunDirectory.open(settings.runtime_dir()) as run_dir:
        if told := first_key.prepare(settings, KeyStore(settings.data_dir)):
            announce(told)
        remembered = ManagerMemory(settings.data_dir)
        overrides = Overrides(remembered)
        choose = functools.partial(choose_engine, machine)
        catalog = Catalog(settings, choose, machine, overrides.entries)
        specs = catalog.scan()
        default_model = pick_default(settings, specs)
        service = Service(
            settings,
            run_dir,
            catalog,
            default_model,
            machine,
            engine_python,
            remembered,
            overrides,
        )
        service.reload_by(read_settings, files or {})
        return asyncio.run(service.main(specs, with_gateway=with_gateway, announce=announce))
