"""What the machine and Tricorn's processes on it use, and what has been served."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import psutil

from tricorn.manager.figures.process_figures import ProcessFigures
from tricorn.manager.figures.usage import UsageTotals
from tricorn.manager.protocol.model_info import ModelInfo

CPU_SAMPLE_S = 0.2
ACTIVE = ("READY", "LOADING", "DRAINING")


class SystemFigures:
    """The machine's as psutil and NVML give them; None is what they do not give."""

    def __init__(
        self,
        models: Callable[[], Iterable[ModelInfo]],
        usage: UsageTotals,
        processes: ProcessFigures,
        spares: Callable[[], list[dict[str, Any]]] = list,
    ) -> None:
        """spares: `Spares.figures`."""
        self._spares = spares
        self._models = models
        self._usage = usage
        self._processes = processes

    def figures(self) -> dict[str, Any]:
        """Everything. Blocks: the CPU is watched for a moment."""
        memory = psutil.virtual_memory()
        used_now = self._processes.read()
        gpus = [
            {
                "name": gpu.name,
                "memory_total_bytes": gpu.total_bytes,
                "memory_used_bytes": gpu.used_bytes,
            }
            for gpu in used_now.gpus
        ]
        total = sum(gpu.total_bytes or 0 for gpu in used_now.gpus)
        used = sum(gpu.used_bytes or 0 for gpu in used_now.gpus)
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
                "tricorn_memory_bytes": sum(used_now.memory.values()),
                "gpus": gpus,
                "models": active,
                "spare_workers": self._spares(),
                "failed_requests": served.failed,
                "prompt_tokens": served.prompt_tokens,
                "completion_tokens": served.completion_tokens,
                "uptime_s": round(self._usage.uptime_s(), 1),
            },
        }

    def _is_active(self, model: ModelInfo) -> bool:
        return model.parent is None and model.state in ACTIVE
