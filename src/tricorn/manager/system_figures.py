"""What the machine and Tricorn's processes on it use, and what has been served."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable
from typing import Any

import psutil

from tricorn.hardware import nvml
from tricorn.manager.protocol import ModelInfo
from tricorn.manager.usage import UsageTotals

CPU_SAMPLE_S = 0.2
ACTIVE = ("READY", "LOADING", "DRAINING")


class SystemFigures:
    """The machine's as psutil and NVML give them; None is what they do not give."""

    def __init__(
        self, models: Callable[[], Iterable[ModelInfo]], usage: UsageTotals, library: object = None
    ) -> None:
        """library: NVML's; None: this machine's, where it has one."""
        self._models = models
        self._usage = usage
        self._library = library or nvml.load("windows" if sys.platform == "win32" else sys.platform)

    def figures(self) -> dict[str, Any]:
        """Everything. Blocks: the CPU is watched for a moment."""
        memory = psutil.virtual_memory()
        gpus = self._gpus()
        total = sum(gpu["memory_total_bytes"] or 0 for gpu in gpus)
        used = sum(gpu["memory_used_bytes"] or 0 for gpu in gpus)
        average = self._usage.average_s()
        served = self._usage.total
        active = [model.id for model in self._models() if self._is_active(model)]
        return {
            "object": "system.metrics",
            "cpu_usage": psutil.cpu_percent(CPU_SAMPLE_S),
            "memory_usage": memory.percent,
            "gpu_memory_usage": round(100 * used / total, 1) if total else None,
            "active_models": len(active),
            "total_requests": served.requests,
            "avg_response_time": None if average is None else round(average, 4),
            "tokens_per_second": round(self._usage.tokens_per_second(), 2),
            "details": {
                "cpu_count": psutil.cpu_count(),
                "memory_total_bytes": memory.total,
                "memory_available_bytes": memory.available,
                "tricorn_memory_bytes": _own_memory(),
                "gpus": gpus,
                "models": active,
                "failed_requests": served.failed,
                "prompt_tokens": served.prompt_tokens,
                "completion_tokens": served.completion_tokens,
                "uptime_s": round(self._usage.uptime_s(), 1),
            },
        }

    def _is_active(self, model: ModelInfo) -> bool:
        return model.parent is None and model.state in ACTIVE

    def _gpus(self) -> list[dict[str, Any]]:
        if self._library is None:
            return []
        with nvml.Session(self._library) as session:
            return [self._gpu(session, device) for device in session.devices()]

    def _gpu(self, session: nvml.Session, device: nvml.Device) -> dict[str, Any]:
        total, free = session.memory(device)
        used = None if total is None or free is None else total - free
        return {
            "name": session.name(device),
            "memory_total_bytes": total,
            "memory_used_bytes": used,
        }


def _own_memory() -> int:
    """Of the manager and all that it has started; pages that they share count once for each."""
    size = 0
    own = psutil.Process()
    for process in (own, *own.children(recursive=True)):
        with contextlib.suppress(psutil.Error):  # it has ended meanwhile
            size += process.memory_info().rss
    return size
