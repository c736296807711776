"""Tests of `tricorn.manager.memory.measuring`, with processes that really take memory."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tricorn.engines.spec import EngineCapabilities, LoadedModel, ModelSpec
from tricorn.hardware import nvml
from tricorn.manager.memory import measuring
from tricorn.manager.memory.measuring import (
    family,
    gpu_memory,
    main_memory,
    measure,
    measure_replica,
)

MIB = 1 << 20
TAKE = """
import mmap, subprocess, sys
memory = bytearray(b"x") * (int(sys.argv[1]) << 20)
if sys.argv[2:3] and sys.argv[2] != "-":
    file = open(sys.argv[2], "rb")
    mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    total = sum(mapped[at] for at in range(0, len(mapped), 4096))
child = None
if sys.argv[3:4]:
    child = subprocess.Popen([sys.executable, "-c", sys.argv[4], sys.argv[3]],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    child.stdout.readline()
print("ready", flush=True)
sys.stdin.read()
"""


@contextlib.contextmanager
def taking(size: int, file: Path | str = "-", in_child: int | None = None) -> Iterator[int]:
    """The id of a process that takes so many MiB, and perhaps a mapped file, and a child's."""
    below = [] if in_child is None else [str(in_child), TAKE]
    command = [sys.executable, "-c", TAKE, str(size), str(file), *below]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            yield process.pid
        finally:
            process.kill()


def spec(engine: str = "llamacpp", device: str = "cpu") -> ModelSpec:
    return ModelSpec("m", "", "gguf", engine, "a test", 0, 0, device=device)


def loaded(memory_bytes: int | None) -> LoadedModel:
    return LoadedModel(1, 1, 1, EngineCapabilities(), memory_bytes=memory_bytes)


def test_a_process_and_its_child() -> None:
    """What both of them take, and not much more; not what they merely could."""
    with taking(1) as pid:
        plain = main_memory(family(pid))
    with taking(64, in_child=32) as pid:
        assert len(family(pid)) == 2
        both = measure(pid, spec())["main"]
    assert plain is not None
    assert 0 < plain < 40 * MIB
    assert 94 * MIB <= both - plain <= 94 * MIB + plain


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell shares")
def test_a_mapped_file(tmp_path: Path) -> None:
    """It counts; of two processes that have mapped it, once for both together."""
    file = tmp_path / "weights"
    file.write_bytes(b"x" * (64 * MIB))
    with taking(1, file) as pid:
        alone = measure(pid, spec())["main"]
        with taking(1, file) as other:
            both = [measure(one, spec())["main"] for one in (pid, other)]
    assert alone > 64 * MIB
    assert sum(both) < alone + 50 * MIB


def test_what_the_engine_says() -> None:
    """The larger of both counts: it may know of memory that no process's size shows."""
    with taking(1) as pid:
        assert measure(pid, spec(), loaded(512 * MIB)) == {"main": 512 * MIB}
        assert measure(pid, spec(), loaded(1))["main"] > MIB
        found = asyncio.run(measure_replica(pid, spec("mlx", "metal"), loaded(512 * MIB)))
        assert found == {"main": 512 * MIB, "metal": 512 * MIB}


def test_fakes_take_what_they_say() -> None:
    """Whatever their process does; so pools can be tested with budgets of a few bytes."""
    with taking(1) as pid:
        assert measure(pid, spec("fake"), loaded(70)) == {"main": 70}
        assert measure(pid, spec("fake"), loaded(None)) == {}


def test_a_process_that_is_gone() -> None:
    """Nothing is told of it, and of a family what is left."""
    with taking(1) as pid:
        pass
    assert family(pid) == []
    assert measure(pid, spec()) == {}
    with taking(1) as other:
        assert main_memory([pid, other]) is not None
    assert main_memory([pid, other]) is None


def test_where_no_shares_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is only its own counts."""
    monkeypatch.setattr(measuring, "PROC", Path("/nonexistent"))
    with taking(64) as pid:
        assert 64 * MIB <= measure(pid, spec())["main"] < 120 * MIB


class Library:
    """NVML with two GPUs, and a process on each."""

    def __init__(self, pid: int) -> None:
        self.processes = {1: [(pid, 5), (pid + 1, 6)], 2: [(1, 7), (pid, nvml.NOT_AVAILABLE)]}

    def nvmlInit_v2(self) -> int:
        return 0

    def nvmlShutdown(self) -> int:
        return 0

    def nvmlDeviceGetCount_v2(self, count: Any) -> int:
        count._obj.value = len(self.processes)
        return 0

    def nvmlDeviceGetHandleByIndex_v2(self, index: Any, handle: Any) -> int:
        handle._obj.value = index.value + 1
        return 0

    def nvmlDeviceGetComputeRunningProcesses_v3(self, device: Any, count: Any, found: Any) -> int:
        assert count._obj.value == len(found)
        assert ctypes.sizeof(found[0]) == 24, "as in NVML's header"
        known = self.processes[device.value]
        for entry, (pid, used) in zip(found, known, strict=False):
            entry.pid, entry.used = pid, used
        count._obj.value = len(known)
        return 0


def test_gpu_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of these processes, on each GPU where the driver tells."""
    with taking(1) as pid:
        monkeypatch.setattr(nvml, "load", lambda system: Library(pid))
        assert gpu_memory([pid]) == {"cuda:0": 5}
        assert gpu_memory([pid, pid + 1]) == {"cuda:0": 11}
        found = measure(pid, spec("vllm", "cuda"))
        assert found.keys() == {"main", "cuda:0"}
        assert measure(pid, spec()).keys() == {"main"}
        assert gpu_memory([]) == {}
    monkeypatch.setattr(nvml, "load", lambda system: None)
    assert gpu_memory([pid]) == {}
