"""Main memory, and what of it this process may use."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

from tricorn.hardware.cgroups import memory_limit, memory_room
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
    elif machine.system == "darwin":
        found.note("memory_available", vm_stat(machine.run("vm_stat") or ""), "vm_stat")


def vm_stat(text: str) -> int | None:
    """Available bytes by what macOS's vm_stat prints: free pages, and those that nobody has used
    for a while; None where it says nothing of them."""
    size = re.search(r"page size of (\d+) bytes", text)
    pages = re.findall(r"^Pages (?:free|inactive):\s+(\d+)", text, re.M)
    if size is None or len(pages) != 2:
        return None
    return int(size[1]) * sum(map(int, pages))


def free_now(machine: Machine) -> int | None:
    """Bytes of main memory that this process could take without taking them from another one;
    None where nothing tells.

    Linux counts the pages of mapped files as available. But they are in use: they hold the weights
    of llama.cpp's models, among others.
    """
    lines = _meminfo(machine.root) if machine.system == "linux" else {}
    free = lines.get("MemAvailable")
    if free is None:
        found = Findings()
        probe(machine, found)
        return found.values.get("memory_available")
    mapped = lines.get("Mapped", 0) - lines.get("Shmem", 0)  # which is not counted as available
    free = max(0, free - max(0, mapped))
    room = memory_room(machine.root)
    return free if room is None else min(free, room)


def meminfo(root: Path) -> tuple[int | None, int | None]:
    """Total and available bytes of /proc/meminfo."""
    lines = _meminfo(root)
    return lines.get("MemTotal"), lines.get("MemAvailable")


def _meminfo(root: Path) -> dict[str, int]:
    """Bytes by name."""
    lines: dict[str, int] = {}
    for line in (read(root / "proc/meminfo") or "").splitlines():
        name, _, value = line.partition(":")
        kilobytes = integer(value.strip().removesuffix(" kB"))
        if kilobytes is not None:
            lines[name] = kilobytes * 1024
    return lines
