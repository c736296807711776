"""Tests of `tricorn.hardware.facts`: what a machine's files tell, and what stays unknown."""

from __future__ import annotations

from pathlib import Path

import pytest

from tricorn.hardware import facts
from tricorn.hardware.facts import Facts, NvidiaGpu


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def topology(cpu: int, package: int, core: int) -> dict[str, str]:
    folder = f"sys/devices/system/cpu/cpu{cpu}/topology"
    return {f"{folder}/physical_package_id": f"{package}\n", f"{folder}/core_id": f"{core}\n"}


def test_this_machine_is_described() -> None:
    """Detection works here, and its summary is one line."""
    found = facts.detect()
    assert found.os in ("linux", "darwin", "windows")
    assert found.python_version is not None
    assert found.physical_cores is None or found.physical_cores >= 1
    assert "\n" not in found.summary()


def test_nothing_known_is_all_none() -> None:
    """A machine that tells nothing gives None everywhere, never a guess."""
    assert all(value is None for value in vars(Facts()).values())
    assert Facts().summary() == "nothing could be detected"


@pytest.mark.parametrize(
    ("cpus", "expected"),
    [({0, 1, 2, 3}, 2), ({0, 2}, 1), ({1}, 1), ({0, 9}, None), (set(), None)],
)
def test_hyperthreads_share_a_core(tmp_path: Path, cpus: set[int], expected: int | None) -> None:
    """Cores are counted once however many of their threads are in the affinity mask."""
    files: dict[str, str] = {}
    for cpu in range(4):
        files |= topology(cpu, 0, cpu % 2)
    assert facts.cores_within(write(tmp_path, files), cpus) == expected


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
    assert facts.cpu_quota(write(tmp_path, files)) == expected


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
    assert facts.memory_limit(write(tmp_path, files)) == expected


def test_nvidia_smi_is_read() -> None:
    """GPUs are listed by name; what the driver doesn't tell is None."""
    text = "NVIDIA H200, 143771, 570.1\nGrace, [N/A], 570.1\nnonsense"
    assert facts.parse_nvidia_smi(text) == (
        NvidiaGpu("NVIDIA H200", 143771 * 2**20, "570.1"),
        NvidiaGpu("Grace", None, "570.1"),
    )


def test_missing_nvidia_smi_is_unknown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without nvidia-smi there is no saying whether there is a GPU."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert facts.nvidia_gpus() is None


def test_container_marks(tmp_path: Path) -> None:
    """Docker's mark and a container's cgroup are recognised; neither: not in a container."""
    assert facts.in_container(write(tmp_path / "a", {".dockerenv": ""}))
    assert facts.in_container(write(tmp_path / "b", {"proc/1/cgroup": "0::/kubepods/x"}))
    assert not facts.in_container(write(tmp_path / "c", {"proc/1/cgroup": "0::/init.scope"}))
