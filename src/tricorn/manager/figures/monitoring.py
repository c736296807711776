"""What is told of Tricorn's work: metrics, the shared log files, the level of what is logged."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec

from tricorn import __version__, log_files, logs
from tricorn.errors import InvalidRequest
from tricorn.log_files import reading
from tricorn.log_files.emptied import EmptiedFiles
from tricorn.log_files.rotating import Rotation
from tricorn.manager.desk.downloads import Downloads
from tricorn.manager.desk.orders import Command, Result, Tell
from tricorn.manager.figures import inference_log, machine_gauges, model_gauges
from tricorn.manager.figures.model_operations import ModelOperations
from tricorn.manager.figures.process_figures import ProcessFigures
from tricorn.manager.figures.request_metrics import RequestMetrics
from tricorn.manager.figures.shared_logs import SharedLogs
from tricorn.manager.memory.ledger import Ledger
from tricorn.manager.pool.pool import Pool
from tricorn.manager.protocol.usage import Usage
from tricorn.metrics import exposition
from tricorn.metrics.exposition import Family
from tricorn.settings.config import Settings

PULL_LOG = "pulls.log"
LOOK_S = 60.0
"""How often is looked whether engines' logs have become too long."""

Level = Literal["DEBUG", "INFO", "WARNING", "ERROR"]


class Nothing(msgspec.Struct, forbid_unknown_fields=True):
    pass


class WantedLines(msgspec.Struct, forbid_unknown_fields=True):
    limit: int = 100
    level: Level = "DEBUG"
    model: str | None = None


class WantedLevel(msgspec.Struct, forbid_unknown_fields=True):
    level: Level


def rotation(settings: Settings) -> Rotation:
    return Rotation(settings.log_max_bytes, settings.log_keep_days, settings.log_keep_files)


class Monitoring:
    """settings: those that hold now. on_level: called when the level has been set.
    spares: `Spares.figures`."""

    def __init__(
        self,
        settings: Callable[[], Settings],
        pool: Pool,
        ledger: Ledger,
        downloads: Downloads,
        processes: ProcessFigures,
        on_level: Callable[[], None],
        spares: Callable[[], list[dict[str, Any]]] = list,
    ) -> None:
        self._settings = settings
        self._pool = pool
        self._ledger = ledger
        self._downloads = downloads
        self._processes = processes
        self._on_level = on_level
        self._spares = spares
        self._started = time.time()
        self.files = SharedLogs(settings().log_dir, rotation(settings()))
        self._of_others = EmptiedFiles(self._written_by_others, lambda: rotation(self._settings()))
        self.requests = RequestMetrics(pool.label)
        self.operations = ModelOperations(
            ledger.held, lambda line: self.files.write(log_files.OPERATIONS, [line])
        )

    def commands(self) -> dict[str, Command[Any]]:
        return {
            "metrics": Command(Nothing, self.metrics),
            "logs.recent": Command(WantedLines, self.recent),
            "logs.level": Command(WantedLevel, self.set_level),
        }

    def take(self, usage: Usage) -> None:
        """A gateway has told what it served."""
        self.requests.add(usage)
        self.files.write(log_files.INFERENCE, map(inference_log.line, usage.ended))
        self.files.write(log_files.SERVICE, usage.lines)

    async def watch(self) -> None:
        """Put aside what engines and downloads have written too much; for ever."""
        while True:
            await asyncio.to_thread(self._of_others.look)
            await asyncio.sleep(LOOK_S)

    def configure(self) -> None:
        """The settings have changed."""
        self.files.configure(rotation(self._settings()))

    def level(self, level: str) -> None:
        """All of Tricorn's processes log from this level on."""
        logs.set_level(level)
        for replica in self._pool.replicas():
            replica.set_log_level(level)
        self._on_level()

    async def metrics(self, order: Nothing, tell: Tell) -> Result:
        families = [*self._families()]
        engines = {
            replica.pid: replica.spec.id
            for replica in self._pool.replicas()
            if replica.pid is not None
        } | {spare["pid"]: "" for spare in self._spares()}

        def text() -> str:
            machine = machine_gauges.of_machine(self._processes.read(), engines)
            return exposition.text([*families, *machine])

        return {"text": await asyncio.to_thread(text)}

    async def recent(self, order: WantedLines, tell: Tell) -> Result:
        wanted = reading.Filter(order.level, order.model)
        folder = self._settings().log_dir
        if order.limit < 1:
            raise InvalidRequest("'limit' must be at least 1.", param="limit")
        lines = await asyncio.to_thread(reading.recent, folder, order.limit, wanted)
        return {"object": "list", "data": lines}

    async def set_level(self, order: WantedLevel, tell: Tell) -> Result:
        before = logs.level()
        self.level(order.level)
        return {"object": "log_level", "level": order.level, "before": before}

    def _written_by_others(self) -> list[Path]:
        folder = self._settings().log_dir
        pulls = folder / PULL_LOG
        return [*folder.glob("engines/*.log"), *([pulls] if pulls.exists() else [])]

    def _families(self) -> Iterator[Family]:
        """Copies of what there is now; for the event loop."""
        build = Family("build_info", "gauge", "1, with the version that runs.")
        build.add(1, version=__version__)
        started = Family("start_time_seconds", "gauge", "When the manager started, Unix time.")
        started.add(round(self._started, 3))
        lost = Family("log_lines_lost_total", "counter", "Lines that no log file has.")
        lost.add(self.files.lost)
        yield from (build, started, lost)
        yield from self.requests.families()
        yield from self.operations.families()
        yield from model_gauges.of_models(self._pool)
        yield from model_gauges.of_ledger(self._pool, self._ledger)
        yield from model_gauges.of_downloads(self._downloads.listing())
