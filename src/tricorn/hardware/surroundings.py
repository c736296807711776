"""Where this process runs: system, container, WSL, board, Python, free disk space."""

from __future__ import annotations

import os
import platform
import shutil
from pathlib import Path

from tricorn.hardware.probe import Findings, Machine, integer

CONTAINER_WORDS = ("docker", "kubepods", "containerd", "libpod", "lxc")


def probe(machine: Machine, found: Findings, folder: Path) -> None:
    """folder: whose disk's free space counts."""
    found.note("os", machine.system, "platform")
    found.note("python_version", platform.python_version(), "the interpreter")
    found.note("disk_free", disk_free(folder), f"the disk of {folder}")
    if machine.system == "linux":
        found.note("os_version", machine.read("proc/sys/kernel/osrelease"), "/proc")
        found.note("libc", libc(*platform.libc_ver()), "the interpreter")
        found.note("in_container", in_container(machine), "/proc and marks of container runtimes")
        found.note("wsl", is_wsl(machine), "/proc/sys/kernel/osrelease")
        found.note("board", machine.read("proc/device-tree/model"), "/proc/device-tree/model")
    elif machine.system == "windows":
        found.note("os_version", platform.version() or None, "platform")


def libc(name: str, version: str) -> tuple[str, tuple[int, int]] | None:
    """The C library as the interpreter names it; None where it can't tell."""
    numbers = [integer(part) for part in version.split(".")[:2]]
    if not name or len(numbers) != 2 or numbers[0] is None or numbers[1] is None:
        return None
    return name, (numbers[0], numbers[1])


def disk_free(folder: Path) -> int | None:
    """Free bytes on the disk of a folder, which need not be there yet."""
    folder = Path(os.path.abspath(folder))
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None


def in_container(machine: Machine) -> bool:
    """Docker, Podman and Kubernetes leave one of these marks."""
    for mark in (".dockerenv", "run/.containerenv"):
        if (machine.root / mark).exists():
            return True
    text = machine.read("proc/1/cgroup") or ""
    if any(word in text for word in CONTAINER_WORDS):
        return True
    return bool(machine.environ.get("KUBERNETES_SERVICE_HOST"))


def is_wsl(machine: Machine) -> bool | None:
    """Whether this Linux is Windows's; None where the kernel doesn't say its name."""
    release = machine.read("proc/sys/kernel/osrelease")
    return None if release is None else "microsoft" in release.lower()
