"""Tests of `tricorn.hardware.facts`: what a machine tells, and what stays unknown."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.hardware.machines import machine, write

from tricorn.hardware import facts, nvml
from tricorn.hardware.facts import Facts, NvidiaGpu, OtherGpu

SOURCE = Path(__file__).parents[2] / "src"


def test_this_machine_is_described(tmp_path: Path) -> None:
    """Detection works here, its summary is one line, and every known fact names its source."""
    found = facts.detect(engines_dir=tmp_path)
    assert found.os in ("linux", "darwin", "windows")
    assert found.python_version is not None
    assert found.physical_cores is None or found.physical_cores >= 1
    assert found.disk_free is not None
    assert found.engines is not None
    assert "\n" not in found.summary()
    known = {name for name, value in vars(found).items() if value is not None} - {"sources"}
    assert known == set(found.sources)


def test_cores_and_memory_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same figures, without a word to any driver."""
    whole = facts.detect()
    monkeypatch.setattr(nvml, "load", lambda system: pytest.fail("a driver was asked"))
    few = facts.cpu_and_memory()
    assert (few.physical_cores, few.memory_total) == (whole.physical_cores, whole.memory_total)
    assert few.nvidia_gpus is None
    assert few.os is None


def test_nothing_known_is_all_none() -> None:
    """A machine that tells nothing gives None everywhere, never a guess."""
    empty = vars(Facts())
    assert empty.pop("sources") == {}
    assert all(value is None for value in empty.values())
    assert Facts().summary() == "nothing could be detected"


@pytest.mark.parametrize("system", ["linux", "darwin", "windows", None])
def test_a_silent_machine_raises_nothing(
    system: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No files, no commands and no driver: the facts are unknown, and that is all."""
    monkeypatch.setattr(nvml, "load", lambda system: None)
    found = facts.detect(machine(system, tmp_path))
    assert found.os == system
    assert (found.memory_total, found.nvidia_gpus, found.apple_chip) == (None, None, None)


def test_a_container_on_a_jetson(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All probes come together in one description."""
    monkeypatch.setattr(nvml, "load", lambda system: None)
    files = {
        "proc/device-tree/model": "NVIDIA Jetson Orin Nano\0",
        "proc/meminfo": "MemTotal: 8388608 kB",
        "proc/self/cgroup": "0::/",
        "sys/fs/cgroup/memory.max": str(2 * 2**30),
        "proc/cpuinfo": "Features : asimd",
        ".dockerenv": "",
    }
    found = facts.detect(machine("linux", write(tmp_path, files)))
    assert found.jetson == "NVIDIA Jetson Orin Nano"
    assert found.usable_memory == 2 * 2**30
    assert found.simd == ("neon",)
    assert "2.0 GiB of memory, NVIDIA Jetson Orin Nano, in a container" in found.summary()


def test_summary_names_the_gpus() -> None:
    """Graphics processors are named whether they are used or not."""
    both = Facts(
        os="linux",
        nvidia_gpus=(NvidiaGpu("NVIDIA L4"),),
        other_gpus=(OtherGpu("AMD", architecture="gfx1100"),),
        wsl=True,
    )
    assert both.summary() == "linux, NVIDIA L4, AMD GPU (gfx1100), WSL"
    assert both.jetson is None


def test_it_needs_the_standard_library_only() -> None:
    """run.py looks at the machine before anything is installed."""
    code = "from tricorn.hardware import facts, fit, reasons; print(facts.detect().os)"
    code = f"import sys; sys.path.insert(0, {str(SOURCE)!r}); {code}"
    done = subprocess.run(
        # -I and -S: no site-packages, so nothing but the standard library can be imported.
        [sys.executable, "-I", "-S", "-c", code],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == str(facts.detect().os), done.stderr
