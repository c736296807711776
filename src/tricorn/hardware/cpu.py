"""The CPU: its name, the cores this process may use, its vector instructions, its NUMA nodes."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from tricorn.hardware.cgroups import cpu_quota
from tricorn.hardware.probe import Findings, Machine, folders, integer, read

SIMD_OF_FLAG = {
    "avx": "avx",
    "avx1.0": "avx",
    "avx2": "avx2",
    "fma": "fma",
    "f16c": "f16c",
    "avx512f": "avx512",
    "avx512_bf16": "avx512-bf16",
    "avx512_vnni": "vnni",
    "avx512vnni": "vnni",
    "avx_vnni": "vnni",
    "amx_tile": "amx",
    "asimd": "neon",
    "neon": "neon",
    "asimddp": "dotprod",
    "feat_dotprod": "dotprod",
    "i8mm": "i8mm",
    "feat_i8mm": "i8mm",
    "bf16": "bf16",
    "feat_bf16": "bf16",
    "sve": "sve",
    "sve2": "sve2",
    "sme": "sme",
    "feat_sme": "sme",
}
"""What Linux and macOS call a vector instruction set, in lower case → our name for it."""

ARCHITECTURES = {"amd64": "x86_64", "x64": "x86_64", "aarch64": "arm64"}


def probe(machine: Machine, found: Findings) -> None:
    found.note("arch", architecture(platform.machine()), "platform")
    if machine.system == "linux":
        _linux(machine, found)
    elif machine.system == "darwin":
        _mac(machine, found)
    found.note("cpu_model", platform.processor() or None, "platform")
    found.note("logical_cpus", os.cpu_count(), "operating system")
    if machine.psutil is not None:
        found.note("physical_cores", machine.psutil.cpu_count(logical=False), "psutil")


def architecture(name: str) -> str | None:
    """x86_64 or arm64, whatever the system calls them."""
    return ARCHITECTURES.get(name.lower(), name.lower()) or None


def _linux(machine: Machine, found: Findings) -> None:
    root, affinity = machine.root, os.sched_getaffinity(0)
    quota = cpu_quota(root)
    found.note("cpu_model", cpu_model(root), "/proc/cpuinfo")
    found.note("simd", simd(root), "/proc/cpuinfo")
    found.note("logical_cpus", len(affinity), "affinity mask")
    cores, source = cores_within(root, affinity), "sysfs, within the affinity mask"
    if cores is None and machine.psutil is not None:
        cores, source = machine.psutil.cpu_count(logical=False), "psutil"
    if cores is not None and quota is not None and quota < cores:
        cores, source = max(1, int(quota)), "the CPU quota of the cgroup"
    found.note("physical_cores", cores, source)
    nodes = folders(root / "sys/devices/system/node", "node[0-9]*")
    found.note("numa_nodes", len(nodes) or None, "/sys/devices/system/node")


def _mac(machine: Machine, found: Findings) -> None:
    found.note("cpu_model", machine.sysctl("machdep.cpu.brand_string"), "sysctl")
    found.note("physical_cores", integer(machine.sysctl("hw.physicalcpu")), "sysctl")
    flags = [machine.sysctl(f"machdep.cpu.{name}") or "" for name in ("features", "leaf7_features")]
    words = " ".join(flags).lower().split()
    for line in (machine.run("sysctl", "hw.optional") or "").splitlines():
        name, _, value = line.rpartition(":")
        if value.strip() == "1":
            words.append(name.strip().lower().rpartition(".")[2])
    if words:
        found.note("simd", _named(words), "sysctl")


def cpu_model(root: Path) -> str | None:
    """The model name in /proc/cpuinfo."""
    for line in (read(root / "proc/cpuinfo") or "").splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("model name", "Model") and value.strip():
            return value.strip()
    return None


def simd(root: Path) -> tuple[str, ...] | None:
    """Vector instruction sets in /proc/cpuinfo, by our names; None where it doesn't list any."""
    for line in (read(root / "proc/cpuinfo") or "").splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("flags", "Features"):
            return _named(value.split())
    return None


def _named(flags: list[str]) -> tuple[str, ...]:
    have = {SIMD_OF_FLAG[flag.lower()] for flag in flags if flag.lower() in SIMD_OF_FLAG}
    return tuple(name for name in dict.fromkeys(SIMD_OF_FLAG.values()) if name in have)


def cores_within(root: Path, cpus: set[int]) -> int | None:
    """Distinct physical cores behind these logical CPUs; None where the kernel doesn't say."""
    cores = set()
    for cpu in cpus:
        topology = root / f"sys/devices/system/cpu/cpu{cpu}/topology"
        package, core = read(topology / "physical_package_id"), read(topology / "core_id")
        if package is None or core is None:
            return None
        cores.add((package, core))
    return len(cores) or None
