"""The limits that a control group puts on this process: what a container really has.

Both versions of cgroups; a limit of any ancestor holds too.
"""

from __future__ import annotations

from pathlib import Path

from tricorn.hardware.probe import integer, read

UNLIMITED = 2**60
"""Bytes; cgroup v1 writes "no limit" as a huge number."""


def cpu_quota(root: Path) -> float | None:
    """CPUs that the cgroup may use at a time; None where it isn't limited."""
    quotas = []
    for folder in _folders(root, "cpu"):
        fields = (read(folder / "cpu.max") or "").split()
        if len(fields) != 2:
            fields = [
                read(folder / "cpu.cfs_quota_us") or "",
                read(folder / "cpu.cfs_period_us") or "",
            ]
        quota, period = integer(fields[0]), integer(fields[1])
        if quota is not None and period and quota > 0:
            quotas.append(quota / period)
    return min(quotas, default=None)


def memory_limit(root: Path) -> int | None:
    """Bytes that the cgroup may hold; None where it isn't limited."""
    limits = []
    for folder in _folders(root, "memory"):
        for name in ("memory.max", "memory.limit_in_bytes"):
            limit = integer(read(folder / name))
            if limit is not None and limit < UNLIMITED:
                limits.append(limit)
    return min(limits, default=None)


def memory_room(root: Path) -> int | None:
    """Bytes that the cgroup may still take; None where it isn't limited. Pages of files that no
    process has mapped make way for others at once, so they count as free."""
    rooms = []
    for folder in _folders(root, "memory"):
        for limit_name, used_name in (
            ("memory.max", "memory.current"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes"),
        ):
            limit, used = integer(read(folder / limit_name)), integer(read(folder / used_name))
            if limit is not None and limit < UNLIMITED and used is not None:
                rooms.append(max(0, limit - used + _unmapped(folder)))
    return min(rooms, default=None)


def _unmapped(folder: Path) -> int:
    """Bytes of cached files without those that are mapped."""
    sizes: dict[str, int] = {}
    for line in (read(folder / "memory.stat") or "").splitlines():
        name, _, value = line.partition(" ")
        sizes[name] = integer(value) or 0
    # The second version's names, and the first one's with all groups below.
    for cached, mapped in (
        (("active_file", "inactive_file"), "file_mapped"),
        (("total_active_file", "total_inactive_file"), "total_mapped_file"),
    ):
        if mapped in sizes:
            return max(0, sum(sizes.get(name, 0) for name in cached) - sizes[mapped])
    return 0


def _folders(root: Path, controller: str) -> list[Path]:
    """Folders of this process's cgroup and its ancestors."""
    found: list[Path] = []
    for line in (read(root / "proc/self/cgroup") or "").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers and controller not in controllers.split(","):
            continue
        base = root / "sys/fs/cgroup" / (controller if controllers else "")
        parts = [part for part in path.split("/") if part and part != ".."]
        found += [base.joinpath(*parts[:depth]) for depth in range(len(parts), -1, -1)]
    return found
