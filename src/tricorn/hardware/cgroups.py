"""The limits that a control group puts on this process: what a container really has.

Both versions of cgroups; a limit of any ancestor holds too.
"""

from __future__ import annotations

from pathlib import Path

from tricorn.hardware.probe import integer, read


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
            if limit is not None and limit < 2**60:  # cgroup v1 writes "no limit" as a huge number
                limits.append(limit)
    return min(limits, default=None)


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
