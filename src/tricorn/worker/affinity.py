"""The cores that an engine worker runs on, set before its engine is loaded.

Threads and processes that are started later inherit them, and engines count their default threads
from them.
"""

from __future__ import annotations

import os
from pathlib import Path

from tricorn.engines.spec import Binding
from tricorn.errors import ModelLoadFailed

TASKS = Path("/proc/self/task")


def bind(cores: tuple[int, ...] | None) -> None:
    """Every thread that there is; nothing where `cores` is None. ModelLoadFailed where the system
    does not allow them all."""
    if cores is None:
        return
    wanted = set(cores)
    # A package that was imported already may have threads of its own.
    threads = [int(path.name) for path in TASKS.iterdir()] if TASKS.is_dir() else [0]
    try:
        for thread in threads:
            os.sched_setaffinity(thread, wanted)
    except OSError as error:
        raise _refused(wanted, error.strerror or str(error)) from error
    missing = wanted - os.sched_getaffinity(0)
    if missing:
        raise _refused(missing, "this process may not, by its cgroup")


def _refused(cores: set[int], why: str) -> ModelLoadFailed:
    shown = ", ".join(map(str, sorted(cores)))
    return ModelLoadFailed(
        f"its engine cannot run on the cores {shown} that the settings name: {why}"
    )


def details(binding: Binding, cores: tuple[int, ...] | None) -> dict[str, str | int]:
    """For `LoadedModel.details`: what is set."""
    found: dict[str, str | int] = {}
    if cores is not None:
        found["cpus"] = ",".join(map(str, cores))
    if binding.gpus is not None:
        found["gpus"] = ",".join(map(str, binding.gpus)) or "none"
    if binding.numa_node is not None:
        found["numa_node"] = binding.numa_node
    return found
