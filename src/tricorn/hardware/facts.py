"""What is known of the machine Tricorn runs on; a fact that can't be known is None, never invented.

Standard library only, psutil where it happens to be importable. Nothing here raises: a probe that
fails leaves its fact unknown. Inside a container the facts are those of the container: the CPU
affinity and the cgroup's CPU quota and memory limit are what this process really has.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROBE_TIMEOUT_S = 5.0
"""A hung driver must not hang the start."""


@dataclass(frozen=True)
class NvidiaGpu:
    name: str
    memory_bytes: int | None = None
    driver: str | None = None


@dataclass(frozen=True)
class Facts:
    """One machine, as this process sees it. Sizes in bytes; None means unknown."""

    os: str | None = None
    """linux, darwin or windows."""
    arch: str | None = None
    """x86_64 or arm64, whatever the system calls them."""
    cpu_model: str | None = None
    physical_cores: int | None = None
    """Usable by this process: within its affinity and its cgroup's quota; at least 1."""
    memory_total: int | None = None
    memory_available: int | None = None
    memory_limit: int | None = None
    """The cgroup's limit; None where there is none."""
    nvidia_gpus: tuple[NvidiaGpu, ...] | None = None
    """Empty: nvidia-smi found none. None: there is no nvidia-smi or it failed."""
    apple_chip: str | None = None
    in_container: bool | None = None
    python_version: str | None = None

    def summary(self) -> str:
        """One line for people; only what is known."""
        parts = [part for part in (self.os, self.arch, self.apple_chip or self.cpu_model) if part]
        if self.physical_cores is not None:
            parts.append(f"{self.physical_cores} core{'s' if self.physical_cores > 1 else ''}")
        sizes = [size for size in (self.memory_total, self.memory_limit) if size is not None]
        if sizes:
            parts.append(f"{min(sizes) / 2**30:.1f} GiB of memory")
        parts += [gpu.name for gpu in self.nvidia_gpus or ()]
        if self.in_container:
            parts.append("in a container")
        return ", ".join(parts) or "nothing could be detected"


def detect() -> Facts:
    """Look at this machine. Takes milliseconds, or `PROBE_TIMEOUT_S` where a driver hangs."""
    system = platform.system().lower() or None
    linux, mac = system == "linux", system == "darwin"
    root = Path("/")
    total, available = _memory(root) if linux else (None, None)
    if mac:
        total = _integer(_output("sysctl", "-n", "hw.memsize"))
    psutil = _psutil()
    if psutil is not None and (total is None or available is None):
        with contextlib.suppress(OSError, RuntimeError):
            memory = psutil.virtual_memory()
            total, available = total or int(memory.total), available or int(memory.available)
    brand = _output("sysctl", "-n", "machdep.cpu.brand_string") if mac else None
    return Facts(
        os=system,
        arch=_arch(platform.machine()),
        cpu_model=cpu_model(root) if linux else brand or platform.processor() or None,
        physical_cores=_physical_cores(root, system, psutil),
        memory_total=total,
        memory_available=available,
        memory_limit=memory_limit(root) if linux else None,
        nvidia_gpus=None if mac else nvidia_gpus(),
        apple_chip=brand if brand and brand.startswith("Apple") else None,
        in_container=in_container(root) if linux else None,
        python_version=platform.python_version(),
    )


def _arch(machine: str) -> str | None:
    known = {"amd64": "x86_64", "aarch64": "arm64"}
    return known.get(machine.lower(), machine.lower()) or None


def _psutil() -> Any:
    return importlib.import_module("psutil") if importlib.util.find_spec("psutil") else None


def _output(*command: str) -> str | None:
    """What a command prints, stripped; None where it is missing, fails, hangs or prints nothing."""
    program = shutil.which(command[0])
    if program is None:
        return None
    try:
        done = subprocess.run(
            [program, *command[1:]],
            capture_output=True,
            text=True,
            timeout=PROBE_TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return None
    return done.stdout.strip() or None


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def _integer(text: str | None) -> int | None:
    try:
        return int(text) if text is not None else None
    except ValueError:
        return None


# --- CPU --------------------------------------------------------------------------------------


def cpu_model(root: Path) -> str | None:
    """The model name in /proc/cpuinfo."""
    for line in (_read(root / "proc/cpuinfo") or "").splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("model name", "Model") and value.strip():
            return value.strip()
    return None


def _physical_cores(root: Path, system: str | None, psutil: Any) -> int | None:
    cores: int | None = None
    if system == "linux":
        cores = cores_within(root, os.sched_getaffinity(0))
    elif system == "darwin":
        cores = _integer(_output("sysctl", "-n", "hw.physicalcpu"))
    if cores is None and psutil is not None:
        cores = psutil.cpu_count(logical=False)
    quota = cpu_quota(root) if system == "linux" else None
    if cores is None or quota is None:
        return cores
    return max(1, min(cores, int(quota)))


def cores_within(root: Path, cpus: set[int]) -> int | None:
    """Distinct physical cores behind these logical CPUs; None where the kernel doesn't say."""
    cores = set()
    for cpu in cpus:
        topology = root / f"sys/devices/system/cpu/cpu{cpu}/topology"
        package, core = _read(topology / "physical_package_id"), _read(topology / "core_id")
        if package is None or core is None:
            return None
        cores.add((package, core))
    return len(cores) or None


# --- cgroups ----------------------------------------------------------------------------------


def _cgroup_folders(root: Path, controller: str) -> list[Path]:
    """Folders of this process's cgroup and its ancestors: a limit holds from any of them."""
    folders: list[Path] = []
    for line in (_read(root / "proc/self/cgroup") or "").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers and controller not in controllers.split(","):
            continue
        base = root / "sys/fs/cgroup" / (controller if controllers else "")
        parts = [part for part in path.split("/") if part and part != ".."]
        folders += [base.joinpath(*parts[:depth]) for depth in range(len(parts), -1, -1)]
    return folders


def cpu_quota(root: Path) -> float | None:
    """CPUs that the cgroup may use at a time; None where it isn't limited."""
    quotas = []
    for folder in _cgroup_folders(root, "cpu"):
        fields = (_read(folder / "cpu.max") or "").split()
        if len(fields) != 2:
            fields = [
                _read(folder / "cpu.cfs_quota_us") or "",
                _read(folder / "cpu.cfs_period_us") or "",
            ]
        quota, period = _integer(fields[0]), _integer(fields[1])
        if quota is not None and period and quota > 0:
            quotas.append(quota / period)
    return min(quotas, default=None)


def memory_limit(root: Path) -> int | None:
    """Bytes that the cgroup may hold; None where it isn't limited."""
    limits = []
    for folder in _cgroup_folders(root, "memory"):
        for name in ("memory.max", "memory.limit_in_bytes"):
            limit = _integer(_read(folder / name))
            if limit is not None and limit < 2**60:  # cgroup v1 writes "no limit" as a huge number
                limits.append(limit)
    return min(limits, default=None)


def _memory(root: Path) -> tuple[int | None, int | None]:
    """Total and available bytes of /proc/meminfo."""
    found: dict[str, int] = {}
    for line in (_read(root / "proc/meminfo") or "").splitlines():
        name, _, value = line.partition(":")
        kilobytes = _integer(value.strip().removesuffix(" kB"))
        if kilobytes is not None:
            found[name] = kilobytes * 1024
    return found.get("MemTotal"), found.get("MemAvailable")


def in_container(root: Path) -> bool:
    """Docker, Podman and Kubernetes leave one of these marks."""
    if (root / ".dockerenv").exists() or (root / "run/.containerenv").exists():
        return True
    marks = ("docker", "kubepods", "containerd", "libpod", "lxc")
    text = _read(root / "proc/1/cgroup") or ""
    return any(mark in text for mark in marks) or bool(os.environ.get("KUBERNETES_SERVICE_HOST"))


# --- GPUs -------------------------------------------------------------------------------------


def nvidia_gpus() -> tuple[NvidiaGpu, ...] | None:
    """What nvidia-smi lists; None where it is missing or fails."""
    if shutil.which("nvidia-smi") is None:
        return None
    text = _output(
        "nvidia-smi",
        "--query-gpu=name,memory.total,driver_version",
        "--format=csv,noheader,nounits",
    )
    return None if text is None else parse_nvidia_smi(text)


def parse_nvidia_smi(text: str) -> tuple[NvidiaGpu, ...]:
    """The lines `name, MiB, driver` that the query above prints."""
    gpus = []
    for line in text.splitlines():
        fields = [field.strip() for field in line.split(",")]
        if len(fields) != 3 or not fields[0]:
            continue
        mebibytes = _integer(fields[1])
        gpus.append(
            NvidiaGpu(
                name=fields[0],
                memory_bytes=None if mebibytes is None else mebibytes * 2**20,
                driver=fields[2] or None,
            )
        )
    return tuple(gpus)
