"""Where a model's engine processes run: whether that is possible here, and by which means.

Cores are set by the worker itself, before its engine is loaded (`worker.affinity`); GPUs and the
rest by its environment.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from tricorn.engines.spec import Binding
from tricorn.errors import StartupError
from tricorn.hardware.facts import Facts
from tricorn.settings import secret_variables
from tricorn.settings.model_settings import CHOOSES_GPUS, numbers

COUNTS_THREADS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "RAYON_NUM_THREADS",
)
"""Variables that numerical libraries take the number of their threads from."""
ROOT = Path("/")
SHOWN = 8


def fault(binding: Binding, machine: Facts, *, engine: str = "", root: Path = ROOT) -> str | None:
    """Why processes cannot be bound like this on this machine; None where they can."""
    try:
        cores(binding, root)
    except StartupError as error:
        return error.message
    if not binding.gpus or engine == "fake":
        return None
    if machine.nvidia_gpus is None:
        seen = machine.other_gpus
        if machine.os == "darwin" or not seen:
            return "gpus names GPUs by number, and this machine has none that can be chosen so"
        there = len(seen)
    else:
        there = len(machine.nvidia_gpus)
    missing = [number for number in binding.gpus if number >= there]
    if missing:
        known = _ranges(range(there)) or "none"
        return f"gpus names {_ranges(missing)}, and this machine has: {known}"
    return None


def cores(binding: Binding, root: Path = ROOT) -> tuple[int, ...] | None:
    """The cores to run on; None: any. StartupError with what this machine lacks."""
    if binding.cpus is None and binding.numa_node is None:
        return None
    if not hasattr(os, "sched_setaffinity"):
        raise StartupError("this system cannot bind processes to cores: leave out cpus, numa_node")
    if binding.numa_node is not None:
        return _of_node(binding.numa_node, root)
    assert binding.cpus is not None
    online = _online(root)
    missing = [core for core in binding.cpus if core not in online]
    if missing:
        raise StartupError(f"cpus names {_ranges(missing)}, and this machine has {_ranges(online)}")
    return binding.cpus


def environment(
    binding: Binding, inherited: Mapping[str, str], threads: int | None = None
) -> dict[str, str]:
    """The whole environment of an engine process. threads: that it may use; None: those of its
    cores, which libraries count for themselves."""
    # What the settings give a model by name it does get.
    chosen = secret_variables.without(inherited) | binding.env
    # Beside a batch that computes on all cores, tokenizers that use them all slow both down.
    chosen.setdefault("TOKENIZERS_PARALLELISM", "false")
    if threads is not None:
        for name in COUNTS_THREADS:
            chosen.setdefault(name, str(threads))
    if binding.gpus is not None:
        visible = ",".join(str(number) for number in binding.gpus)
        for name in CHOOSES_GPUS:
            chosen.pop(name, None)
        chosen |= {"CUDA_VISIBLE_DEVICES": visible, "HIP_VISIBLE_DEVICES": visible}
        # CUDA's own order is by speed; people and the driver's tools number by bus.
        chosen.setdefault("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    return chosen


def _of_node(number: int, root: Path) -> tuple[int, ...]:
    nodes = root / "sys/devices/system/node"
    try:
        text = (nodes / f"node{number}" / "cpulist").read_text(encoding="ascii")
    except OSError as error:
        there = sorted(int(path.name.removeprefix("node")) for path in nodes.glob("node[0-9]*"))
        known = f"there are: {_ranges(there)}" if there else "this machine tells of none"
        raise StartupError(f"there is no NUMA node {number}; {known}") from error
    found = _listed(text)
    if not found:
        raise StartupError(f"the NUMA node {number} has memory only, and no cores")
    return tuple(found)


def _online(root: Path) -> list[int]:
    try:
        return _listed((root / "sys/devices/system/cpu/online").read_text(encoding="ascii"))
    except OSError:
        return list(range(os.cpu_count() or 1))


def _listed(text: str) -> list[int]:
    """The kernel's notation, "0-3,8"."""
    found = numbers(text.strip()) if text.strip() else []
    assert isinstance(found, list)
    return found


def _ranges(found: Iterable[int]) -> str:
    """0, 1, 2 and 8 as "0-2, 8"."""
    parts: list[list[int]] = []
    for number in sorted(found):
        if parts and number == parts[-1][-1] + 1:
            parts[-1].append(number)
        else:
            parts.append([number])
    texts = [f"{part[0]}-{part[-1]}" if len(part) > 1 else str(part[0]) for part in parts]
    return ", ".join(texts[:SHOWN]) + (", …" if len(texts) > SHOWN else "")
