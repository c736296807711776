"""What a replica really takes of memory, by place.

What counts is what comes back when its process ends. On Linux that is the proportional set size of
the process and all below it: pages that several processes share are divided among them, so that the
sum over all replicas is right. Pages of a mapped file count although the system could drop them: an
engine that computes with them needs them there. Elsewhere it is the unique set size, and where that
is not told either, the resident one.

Engines say themselves what they take, as far as they know (`LoadedModel.memory_bytes`). On Apple's
GPU a process's sizes leave out what the GPU was given. So the larger of the two counts.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Iterable
from pathlib import Path

import psutil

from tricorn.engines.spec import LoadedModel, ModelSpec
from tricorn.hardware import nvidia, nvml, probe
from tricorn.manager.memory.ledger import MAIN, METAL, cuda

PROC = Path("/proc")


def measure(pid: int, spec: ModelSpec, loaded: LoadedModel | None = None) -> dict[str, int]:
    """Of the process and all below it, which serve `spec`. Blocks for milliseconds, or seconds
    where a driver hangs: call it in a thread. A place that nothing tells of is left out."""
    own = None if loaded is None else loaded.memory_bytes
    if spec.engine == "fake":  # it takes what it says, and nothing worth measuring
        return {} if own is None else {MAIN: own}
    pids = family(pid)
    main = max(filter(None, (main_memory(pids), own)), default=None)
    found = {} if main is None else {MAIN: main}
    if spec.device == "metal" and main is not None:
        found[METAL] = main
    if spec.device == "cuda":
        found |= gpu_memory(pids)
    return found


async def measure_replica(
    pid: int, spec: ModelSpec, loaded: LoadedModel | None = None
) -> dict[str, int]:
    """As `measure`, in a thread."""
    return await asyncio.to_thread(functools.partial(measure, pid, spec, loaded))


async def measure_spare(pid: int) -> dict[str, int]:
    """Of a process without a model; empty where nothing tells."""
    size = await asyncio.to_thread(main_memory, [pid])
    return {} if size is None else {MAIN: size}


def family(pid: int) -> list[int]:
    """The process and all below it; empty where it is gone."""
    try:
        process = psutil.Process(pid)
        return [pid, *(child.pid for child in process.children(recursive=True))]
    except psutil.Error:
        return []


def main_memory(pids: Iterable[int]) -> int | None:
    """Bytes of all of them together; None where nothing tells. Who has gone meanwhile has none."""
    sizes = [size for pid in pids if (size := _of_process(pid)) is not None]
    return sum(sizes) if sizes else None


def gpu_memory(pids: Iterable[int]) -> dict[str, int]:
    """By GPU. Empty where the driver does not know these processes: in a container it may know
    them by other numbers."""
    library = nvml.load(probe.Machine.here().system)
    if library is None:
        return {}
    wanted = frozenset(pids)
    _, used = probe.bounded(lambda: nvidia.used_by_processes(library))
    found: dict[str, int] = {}
    for number, processes in enumerate(used or ()):
        known = [size for pid, size in processes.items() if pid in wanted and size is not None]
        if known:
            found[cuda(number)] = sum(known)
    return found


def _of_process(pid: int) -> int | None:
    rollup = probe.read(PROC / str(pid) / "smaps_rollup")
    for line in (rollup or "").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            if process.status() == psutil.STATUS_ZOMBIE:
                return None
            try:
                return int(process.memory_full_info().uss)
            except psutil.AccessDenied:
                return int(process.memory_info().rss)
    except psutil.Error:
        return None
