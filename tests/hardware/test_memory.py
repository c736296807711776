"""Tests of `tricorn.hardware.memory` and `tricorn.hardware.cgroups`."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.hardware.machines import machine, write

from tricorn.hardware import memory
from tricorn.hardware.cgroups import cpu_quota, memory_limit
from tricorn.hardware.probe import Findings


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"proc/self/cgroup": "0::/a/b", "sys/fs/cgroup/a/b/cpu.max": "150000 100000"}, 1.5),
        ({"proc/self/cgroup": "0::/a/b", "sys/fs/cgroup/a/cpu.max": "200000 100000"}, 2.0),
        ({"proc/self/cgroup": "0::/a", "sys/fs/cgroup/a/cpu.max": "max 100000"}, None),
        (
            {
                "proc/self/cgroup": "3:cpu,cpuacct:/x\n2:memory:/x",
                "sys/fs/cgroup/cpu/x/cpu.cfs_quota_us": "50000",
                "sys/fs/cgroup/cpu/x/cpu.cfs_period_us": "100000",
            },
            0.5,
        ),
        (
            {
                "proc/self/cgroup": "3:cpu:/x",
                "sys/fs/cgroup/cpu/x/cpu.cfs_quota_us": "-1",
                "sys/fs/cgroup/cpu/x/cpu.cfs_period_us": "100000",
            },
            None,
        ),
        ({}, None),
    ],
)
def test_cpu_quota(tmp_path: Path, files: dict[str, str], expected: float | None) -> None:
    """The tightest quota of the cgroup and its ancestors holds, in both versions of cgroups."""
    assert cpu_quota(write(tmp_path, files)) == expected


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"proc/self/cgroup": "0::/", "sys/fs/cgroup/memory.max": "1048576"}, 1048576),
        ({"proc/self/cgroup": "0::/", "sys/fs/cgroup/memory.max": "max"}, None),
        (
            {
                "proc/self/cgroup": "2:memory:/x",
                "sys/fs/cgroup/memory/x/memory.limit_in_bytes": "9223372036854771712",
                "sys/fs/cgroup/memory/memory.limit_in_bytes": "4096",
            },
            4096,
        ),
    ],
)
def test_memory_limit(tmp_path: Path, files: dict[str, str], expected: int | None) -> None:
    """A huge number of cgroup v1 means no limit."""
    assert memory_limit(write(tmp_path, files)) == expected


def test_linux(tmp_path: Path) -> None:
    """/proc/meminfo counts in kibibytes."""
    found = Findings()
    files = {"proc/meminfo": "MemTotal:  2048 kB\nMemFree: 1 kB\nMemAvailable:   1024 kB\n"}
    memory.probe(machine("linux", write(tmp_path, files)), found)
    assert found.values == {"memory_total": 2048 * 1024, "memory_available": 1024 * 1024}
    assert found.sources["memory_total"] == "/proc/meminfo"


VM_STAT = """Mach Virtual Memory Statistics: (page size of 16384 bytes)
Pages free:                               65536.
Pages active:                            218318.
Pages inactive:                          131072.
Pages speculative:                         1011.
Pages wired down:                         94210.
"""


def test_mac() -> None:
    """sysctl tells the size and, where there is no psutil, vm_stat what is available of it."""
    found = Findings()
    commands = {"sysctl -n hw.memsize": "17179869184", "vm_stat": VM_STAT.strip()}
    memory.probe(machine("darwin", commands=commands), found)
    assert found.values == {"memory_total": 16 * 2**30, "memory_available": 3 * 2**30}
    assert found.sources["memory_available"] == "vm_stat"


@pytest.mark.parametrize("text", ["", "Pages free: 1.", VM_STAT.replace("inactive", "idle")])
def test_a_mac_that_does_not_tell(text: str) -> None:
    """What is not understood is unknown."""
    assert memory.vm_stat(text) is None
