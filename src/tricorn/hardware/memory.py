"""Main memory, and what of it this process may use."""

from __future__ import annotations

import contextlib
from pathlib import Path

from tricorn.hardware.cgroups import memory_limit
from tricorn.hardware.probe import Findings, Machine, integer, read


def probe(machine: Machine, found: Findings) -> None:
    if machine.system == "linux":
        total, available = meminfo(machine.root)
        found.note("memory_total", total, "/proc/meminfo")
        found.note("memory_available", available, "/proc/meminfo")
        found.note("memory_limit", memory_limit(machine.root), "cgroup")
    elif machine.system == "darwin":
        found.note("memory_total", integer(machine.sysctl("hw.memsize")), "sysctl hw.memsize")
    if machine.psutil is not None:
        with contextlib.suppress(OSError, RuntimeError):
            memory = machine.psutil.virtual_memory()
            found.note("memory_total", int(memory.total), "psutil")
            found.note("memory_available", int(memory.available), "psutil")


def meminfo(root: Path) -> tuple[int | None, int | None]:
    """Total and available bytes of /proc/meminfo."""
    lines: dict[str, int] = {}
    for line in (read(root / "proc/meminfo") or "").splitlines():
        name, _, value = line.partition(":")
        kilobytes = integer(value.strip().removesuffix(" kB"))
        if kilobytes is not None:
            lines[name] = kilobytes * 1024
    return lines.get("MemTotal"), lines.get("MemAvailable")
