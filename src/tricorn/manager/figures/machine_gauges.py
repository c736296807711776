"""What the machine and Tricorn's processes hold, as metrics."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping

from tricorn.manager.figures.process_figures import Figures
from tricorn.metrics.exposition import Family

MANAGER, GATEWAY, ENGINE = "manager", "gateway", "engine"


def of_machine(figures: Figures, engines: Mapping[int, str]) -> Iterator[Family]:
    """engines: model by process id of its worker. What is no engine's and not the manager is the
    gateway's: nothing else is started for long."""
    shares: Counter[tuple[str, str]] = Counter()
    rest = set(figures.memory)
    for pid, model in engines.items():
        for one in figures.tree(pid) & rest:
            shares[ENGINE, model] += figures.memory[one]
            rest.discard(one)
    for pid in rest:
        shares[MANAGER if pid == os.getpid() else GATEWAY, ""] += figures.memory[pid]
    memory = Family(
        "process_resident_memory_bytes", "gauge", "Of Tricorn's processes, by their part in it."
    )
    for (process, model), size in shares.items():
        memory.add(size, process=process, model_name=model)
    used = Family("gpu_memory_used_bytes", "gauge", "Of a GPU, by whatever program.")
    total = Family("gpu_memory_total_bytes", "gauge", "That a GPU has.")
    for number, gpu in enumerate(figures.gpus):
        labels = {"gpu": str(number), "name": gpu.name or ""}
        if gpu.used_bytes is not None:
            used.add(gpu.used_bytes, **labels)
        if gpu.total_bytes is not None:
            total.add(gpu.total_bytes, **labels)
    yield from (memory, used, total)
