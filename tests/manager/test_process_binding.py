"""Where engine processes may run, and by which means."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tricorn.engines.spec import Binding
from tricorn.errors import StartupError
from tricorn.hardware.facts import Facts
from tricorn.manager.replicas import process_binding

linux = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs Linux's affinity")


def machine(root: Path, *, online: str = "0-3", nodes: dict[int, str] | None = None) -> Path:
    """A /sys with these cores and NUMA nodes."""
    cpu = root / "sys/devices/system/cpu"
    cpu.mkdir(parents=True)
    (cpu / "online").write_text(f"{online}\n")
    for number, cores in (nodes or {}).items():
        node = root / f"sys/devices/system/node/node{number}"
        node.mkdir(parents=True)
        (node / "cpulist").write_text(f"{cores}\n")
    return root


@linux
def test_cores_of_a_binding(tmp_path: Path) -> None:
    """Its own, a node's, or any."""
    root = machine(tmp_path, online="0-7", nodes={0: "0-3", 1: "4-5,7"})
    assert process_binding.cores(Binding(), root) is None
    assert process_binding.cores(Binding(cpus=(1, 5)), root) == (1, 5)
    assert process_binding.cores(Binding(numa_node=1), root) == (4, 5, 7)


@linux
@pytest.mark.parametrize(
    ("binding", "said"),
    [
        (Binding(cpus=(3, 4, 5, 9)), "cpus names 4-5, 9, and this machine has 0-3"),
        (Binding(numa_node=2), "there is no NUMA node 2; there are: 0-1"),
        (Binding(numa_node=1), "the NUMA node 1 has memory only, and no cores"),
    ],
)
def test_what_the_machine_lacks(tmp_path: Path, binding: Binding, said: str) -> None:
    """Told with what it has."""
    root = machine(tmp_path, nodes={0: "0-3", 1: ""})
    with pytest.raises(StartupError) as caught:
        process_binding.cores(binding, root)
    assert caught.value.message == said
    assert process_binding.fault(binding, Facts(), root=root) == said


@linux
def test_a_machine_that_tells_nothing_of_nodes(tmp_path: Path) -> None:
    """As in many containers."""
    with pytest.raises(StartupError, match="there is no NUMA node 0; this machine tells of none"):
        process_binding.cores(Binding(numa_node=0), machine(tmp_path))


def test_a_system_without_affinity(monkeypatch: pytest.MonkeyPatch) -> None:
    """macOS has none."""
    monkeypatch.delattr(os, "sched_setaffinity", raising=False)
    fault = process_binding.fault(Binding(cpus=(0,)), Facts())
    assert fault == "this system cannot bind processes to cores: leave out cpus, numa_node"
    assert process_binding.fault(Binding(), Facts()) is None


def test_gpus_that_are_not_there() -> None:
    """By number, as far as the machine's are known; a fake engine needs none."""
    fault = process_binding.fault(Binding(gpus=(0, 2)), Facts(nvidia_gpus=()))
    assert fault == "gpus names 0, 2, and this machine has: none"
    none = process_binding.fault(Binding(gpus=(0,)), Facts(os="linux"))
    assert none == "gpus names GPUs by number, and this machine has none that can be chosen so"
    assert process_binding.fault(Binding(gpus=()), Facts()) is None
    assert process_binding.fault(Binding(gpus=(0,)), Facts(), engine="fake") is None


def test_the_environment_of_an_engine() -> None:
    """Its own variables over the inherited ones; GPUs are numbered as the driver's tools do."""
    inherited = {"PATH": "/bin", "A": "1", "ROCR_VISIBLE_DEVICES": "0"}
    found = process_binding.environment(Binding(env={"A": "2"}, gpus=(0, 2)), inherited)
    assert found == {
        "PATH": "/bin",
        "A": "2",
        "CUDA_VISIBLE_DEVICES": "0,2",
        "HIP_VISIBLE_DEVICES": "0,2",
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
        "TOKENIZERS_PARALLELISM": "false",
    }
    hidden = process_binding.environment(Binding(gpus=()), {})
    assert (hidden["CUDA_VISIBLE_DEVICES"], hidden["HIP_VISIBLE_DEVICES"]) == ("", "")
    quiet = {"TOKENIZERS_PARALLELISM": "false"}
    assert process_binding.environment(Binding(), inherited) == inherited | quiet


def test_threads_of_libraries() -> None:
    """As many as the engine may use; what somebody has set stays."""
    inherited = {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "true"}
    binding = Binding(env={"MKL_NUM_THREADS": "3"})
    found = process_binding.environment(binding, inherited, threads=2)
    assert found["OPENBLAS_NUM_THREADS"] == found["RAYON_NUM_THREADS"] == "2"
    assert (found["OMP_NUM_THREADS"], found["MKL_NUM_THREADS"]) == ("1", "3")
    assert found["TOKENIZERS_PARALLELISM"] == "true"
