"""What is done with models: counted, and told to `metrics.log`.

load     a replica can serve; what it took        wake     so can one that was parked
park     it has left the device, for others       unload   its process has ended as it was told
evict    the same, to make room for others        fail     it could not be loaded, or has died
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tricorn import logs
from tricorn.manager.replicas.replica import Replica
from tricorn.metrics import buckets
from tricorn.metrics.exposition import Family
from tricorn.metrics.series import Counter, Histogram

SHUTDOWN = "shutdown"
EVICTED = "evicted"


class ModelOperations:
    """held: what a replica holds of memory now, by place. write: a line of the log."""

    def __init__(
        self,
        held: Callable[[str], Mapping[str, int]],
        write: Callable[[bytes], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._held = held
        self._write = write
        self._clock = clock
        self._ready_at: dict[str, float] = {}
        self._loading_at: dict[str, float] = {}
        self._parked: set[str] = set()
        labels = ("model_name", "engine")
        self._loads = Counter("model_loads_total", "Loads that succeeded.", *labels)
        self._wakes = Counter("model_wakes_total", "Parked models that came back.", *labels)
        self._parks = Counter("model_parks_total", "Models that were parked.", *labels)
        self._failures = Counter(
            "model_failures_total", "Loads that failed, and engines that died.", *labels, "when"
        )
        self._unloads = Counter("model_unloads_total", "Unloads.", *labels, "reason")
        self._durations = Histogram(
            "model_load_duration_seconds", "Loads that succeeded.", buckets.LOAD, *labels
        )

    def replica_state(self, replica: Replica) -> None:
        """As `Replica`'s on_state."""
        name, labels = replica.name, (replica.spec.id, replica.spec.engine)
        match replica.state:
            case "LOADING":
                self._loading_at[name] = self._clock()
            case "READY" if name in self._parked:
                self._parked.discard(name)
                self._wakes.add(1, *labels)
                self._tell("wake", replica, duration_s=self._since(self._loading_at, name))
                self._ready_at[name] = self._clock()
            case "READY":
                seconds = replica.load_s or 0.0
                self._loads.add(1, *labels)
                self._durations.observe(seconds, *labels)
                self._tell("load", replica, duration_s=round(seconds, 3))
                self._ready_at[name] = self._clock()
            case "PARKED":
                self._parked.add(name)
                self._parks.add(1, *labels)
                self._tell("park", replica, reason=replica.unload_reason)
            case "FAILED":
                when = "loading" if replica.failed_loading else "serving"
                self._failures.add(1, *labels, when)
                reason = replica.failure.message if replica.failure is not None else ""
                self._tell("fail", replica, level="error", when=when, reason=reason)
                self._forget(name)
            case "UNLOADED":
                # One that nobody told to leave goes with the manager.
                reason = replica.unload_reason or SHUTDOWN
                self._unloads.add(1, *labels, reason)
                operation = "evict" if reason == EVICTED else "unload"
                served_s = self._since(self._ready_at, name)
                self._tell(operation, replica, reason=reason, served_s=served_s)
                self._forget(name)

    def families(self) -> Iterator[Family]:
        for series in vars(self).values():
            if isinstance(series, Counter | Histogram):
                yield series.family()

    def _tell(self, operation: str, replica: Replica, level: str = "info", **facts: Any) -> None:
        told = {
            "timestamp": logs.timestamp(time.time()),
            "level": level,
            "event": "model_operation",
            "operation": operation,
            "model": replica.spec.id,
            "engine": replica.spec.engine,
            "replica": replica.name,
            "pid": replica.pid,
            "memory": dict(self._held(replica.name)),
            **facts,
        }
        self._write(logs.encode({name: one for name, one in told.items() if one is not None}))

    def _since(self, times: Mapping[str, float], name: str) -> float | None:
        return round(self._clock() - times[name], 3) if name in times else None

    def _forget(self, name: str) -> None:
        self._loading_at.pop(name, None)
        self._ready_at.pop(name, None)
        self._parked.discard(name)
