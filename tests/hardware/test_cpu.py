"""Tests of `tricorn.hardware.cpu`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from tests.hardware.machines import machine, write

from tricorn.hardware import cpu
from tricorn.hardware.probe import Findings


def topology(number: int, package: int, core: int) -> dict[str, str]:
    folder = f"sys/devices/system/cpu/cpu{number}/topology"
    return {f"{folder}/physical_package_id": f"{package}\n", f"{folder}/core_id": f"{core}\n"}


@pytest.mark.parametrize(
    ("cpus", "expected"),
    [({0, 1, 2, 3}, 2), ({0, 2}, 1), ({1}, 1), ({0, 9}, None), (set(), None)],
)
def test_hyperthreads_share_a_core(tmp_path: Path, cpus: set[int], expected: int | None) -> None:
    """Cores are counted once however many of their threads are in the affinity mask."""
    files: dict[str, str] = {}
    for number in range(4):
        files |= topology(number, 0, number % 2)
    assert cpu.cores_within(write(tmp_path, files), cpus) == expected


@pytest.mark.parametrize(
    ("cpuinfo", "expected"),
    [
        (
            "flags\t: fpu avx avx2 fma f16c avx512f avx512_vnni amx_tile",
            ("avx", "avx2", "fma", "f16c", "avx512", "vnni", "amx"),
        ),
        ("flags : sse2 avx avx2 avx_vnni", ("avx", "avx2", "vnni")),
        ("Features\t: fp asimd asimddp i8mm sve", ("neon", "dotprod", "i8mm", "sve")),
        ("flags : sse2", ()),
        ("processor : 0", None),
    ],
)
def test_simd(tmp_path: Path, cpuinfo: str, expected: tuple[str, ...] | None) -> None:
    """Vector instructions have one name each on every system; no list at all is unknown."""
    assert cpu.simd(write(tmp_path, {"proc/cpuinfo": cpuinfo})) == expected


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="Linux only")
def test_linux(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Affinity, quota, model and NUMA nodes come together, each with its source."""
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1, 2, 3})
    files: dict[str, str] = {"proc/cpuinfo": "model name : Xeon X\nflags : avx2"}
    for number in range(4):
        files |= topology(number, number // 2, number)
    nodes = "sys/devices/system/node"
    files |= {f"{nodes}/node0/cpulist": "0-1", f"{nodes}/node1/cpulist": "2-3"}
    found = Findings()
    cpu.probe(machine("linux", write(tmp_path, files)), found)
    known = found.values
    assert (known["cpu_model"], known["physical_cores"], known["logical_cpus"]) == ("Xeon X", 4, 4)
    assert (known["numa_nodes"], known["simd"]) == (2, ("avx2",))
    assert "affinity" in found.sources["physical_cores"]
    files = {"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "50000 100000"}
    limited = Findings()
    cpu.probe(machine("linux", write(tmp_path, files)), limited)
    assert limited.values["physical_cores"] == 1
    assert "quota" in limited.sources["physical_cores"]


@pytest.mark.parametrize(
    ("commands", "expected"),
    [
        (
            {"sysctl hw.optional": "hw.optional.neon: 1\nhw.optional.arm.FEAT_I8MM: 1\nhw.x: 0"},
            ("neon", "i8mm"),
        ),
        (
            {
                "sysctl -n machdep.cpu.features": "FPU SSE AVX1.0 FMA",
                "sysctl -n machdep.cpu.leaf7_features": "BMI1 AVX2",
            },
            ("avx", "avx2", "fma"),
        ),
    ],
)
def test_mac(commands: dict[str, str], expected: tuple[str, ...]) -> None:
    """sysctl tells both kinds of Macs' cores and vector instructions."""
    found = Findings()
    cpu.probe(machine("darwin", commands=commands | {"sysctl -n hw.physicalcpu": "10"}), found)
    assert (found.values["physical_cores"], found.values["simd"]) == (10, expected)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("AMD64", "x86_64"), ("aarch64", "arm64"), ("arm64", "arm64"), ("riscv64", "riscv64")],
)
def test_architecture(name: str, expected: str) -> None:
    """One name whatever the system calls it."""
    assert cpu.architecture(name) == expected


def test_no_architecture() -> None:
    """No name is unknown."""
    nothing: Any = cpu.architecture("")
    assert nothing is None
