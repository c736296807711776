"""Tests of `tricorn.hardware.nvidia` and `tricorn.hardware.nvml`, with a driver that is made up."""

from __future__ import annotations

import ctypes
import threading
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.hardware.machines import machine

from tricorn.hardware import nvidia, nvml
from tricorn.hardware import probe as probes
from tricorn.hardware.nvidia import NvidiaFacts, NvidiaGpu
from tricorn.hardware.probe import Findings

GIB = 2**30
NOT_SUPPORTED = 3


@dataclass
class Card:
    name: str
    capability: tuple[int, int] = (9, 0)
    memory: int | None = 80 * GIB
    mig: int | None = None
    """None: cannot be divided."""
    instances: list[int] = field(default_factory=list)


class Library:
    """NVML as ctypes gives it: functions that write through pointers and return 0 for success."""

    def __init__(self, *cards: Card, cuda: int = 13000, init: int = 0) -> None:
        self.cards = cards
        self.cuda = cuda
        self.init = init
        self.running = False

    def nvmlInit_v2(self) -> int:
        self.running = self.init == 0
        return self.init

    def nvmlShutdown(self) -> int:
        self.running = False
        return 0

    def nvmlSystemGetDriverVersion(self, buffer: Any, size: Any) -> int:
        buffer.value = b"580.65.06"
        return 0

    def nvmlSystemGetCudaDriverVersion_v2(self, number: Any) -> int:
        number._obj.value = self.cuda
        return 0

    def nvmlDeviceGetCount_v2(self, count: Any) -> int:
        assert self.running
        count._obj.value = len(self.cards)
        return 0

    def nvmlDeviceGetHandleByIndex_v2(self, index: Any, handle: Any) -> int:
        handle._obj.value = index.value + 1
        return 0

    def nvmlDeviceGetName(self, device: Any, buffer: Any, size: Any) -> int:
        buffer.value = self._card(device).name.encode()
        return 0

    def nvmlDeviceGetMemoryInfo(self, device: Any, memory: Any) -> int:
        card, number = self._card(device), device.value
        total = card.instances[number // 100 - 1] if number > 100 else card.memory
        if total is None:
            return NOT_SUPPORTED
        memory._obj.total, memory._obj.free = total, total // 2
        return 0

    def nvmlDeviceGetCudaComputeCapability(self, device: Any, major: Any, minor: Any) -> int:
        major._obj.value, minor._obj.value = self._card(device).capability
        return 0

    def nvmlDeviceGetMigMode(self, device: Any, now: Any, pending: Any) -> int:
        mode = self._card(device).mig
        if mode is None:
            return NOT_SUPPORTED
        now._obj.value = mode
        return 0

    def nvmlDeviceGetMaxMigDeviceCount(self, device: Any, count: Any) -> int:
        count._obj.value = 7
        return 0

    def nvmlDeviceGetMigDeviceHandleByIndex(self, device: Any, index: Any, handle: Any) -> int:
        if index.value >= len(self._card(device).instances):
            return NOT_SUPPORTED
        handle._obj.value = device.value + 100 * (index.value + 1)
        return 0

    def _card(self, device: Any) -> Card:
        assert isinstance(device, ctypes.c_void_p)
        assert device.value is not None
        return self.cards[device.value % 100 - 1]


def probed(system: str = "linux", **given: Any) -> Findings:
    found = Findings()
    nvidia.probe(machine(system, **given), found)
    return found


def test_nvml_tells_all() -> None:
    """Names, sizes, compute capability, driver and the newest CUDA it runs."""
    library = Library(Card("NVIDIA H100"), Card("Tesla T4", (7, 5), 16 * GIB), cuda=12040)
    assert nvidia.of_library(library) == NvidiaFacts(
        gpus=(
            NvidiaGpu("NVIDIA H100", 80 * GIB, 40 * GIB, (9, 0), "580.65.06"),
            NvidiaGpu("Tesla T4", 16 * GIB, 8 * GIB, (7, 5), "580.65.06"),
        ),
        driver="580.65.06",
        cuda_version=(12, 4),
    )
    assert not library.running


def test_free_memory() -> None:
    """Of each GPU, read anew each time; of a divided one, its largest instance's."""
    plain = Card("NVIDIA H100")
    divided = Card("NVIDIA A100", mig=1, instances=[10 * GIB, 40 * GIB, 20 * GIB])
    library = Library(plain, divided, Card("NVIDIA GB10", memory=None))
    read = nvidia.memory_reader(library)
    assert read() == [40 * GIB, 20 * GIB, None]
    plain.memory = 60 * GIB
    assert read()[0] == 30 * GIB
    assert library.running, "it stays open"


def test_mig_instances_are_listed() -> None:
    """A divided GPU tells the memory of its instances; an undivided one has none."""
    library = Library(
        Card("NVIDIA A100", (8, 0), mig=1, instances=[10 * GIB, 20 * GIB]),
        Card("NVIDIA A100", (8, 0), mig=0),
    )
    facts = nvidia.of_library(library)
    assert facts is not None
    assert [gpu.mig for gpu in facts.gpus] == [True, False]
    assert [gpu.mig_instances for gpu in facts.gpus] == [(10 * GIB, 20 * GIB), ()]


def test_what_a_gpu_does_not_tell_is_unknown() -> None:
    """A GPU that shares the main memory has none of its own; one that has no MIG says so."""
    facts = nvidia.of_library(Library(Card("NVIDIA GB10", (12, 1), None)))
    assert facts is not None
    assert facts.gpus == (NvidiaGpu("NVIDIA GB10", None, None, (12, 1), "580.65.06"),)


def test_an_old_library_lacks_functions(monkeypatch: pytest.MonkeyPatch) -> None:
    """A function that isn't there leaves its fact unknown."""
    monkeypatch.delattr(Library, "nvmlSystemGetCudaDriverVersion_v2")
    monkeypatch.delattr(Library, "nvmlDeviceGetMigMode")
    facts = nvidia.of_library(Library(Card("NVIDIA H100", mig=1)))
    assert facts is not None
    assert (facts.cuda_version, facts.gpus[0].mig) == (None, None)


def test_a_driver_that_does_not_start_is_unknown() -> None:
    """NVML without its driver's kernel part knows nothing, which is not "no GPU"."""
    assert nvidia.of_library(Library(init=9)) is None


def test_a_driver_without_gpus() -> None:
    """A driver that answers and lists none: there is none."""
    facts = nvidia.of_library(Library())
    assert facts is not None
    assert facts.gpus == ()


def test_no_library_here() -> None:
    """Only Linux and Windows have one."""
    assert nvml.load("darwin") is None
    assert nvml.load(None) is None


def test_probe_prefers_nvml(monkeypatch: pytest.MonkeyPatch) -> None:
    """NVML is the source where it is there."""
    monkeypatch.setattr(nvml, "load", lambda system: Library(Card("NVIDIA H100")))
    found = probed(environ={"CUDA_VISIBLE_DEVICES": " 0 "})
    assert found.values["nvidia_gpus"][0].name == "NVIDIA H100"
    assert found.values["cuda_version"] == (13, 0)
    assert found.values["cuda_visible_devices"] == "0"
    assert found.sources["nvidia_gpus"] == "NVML"


SMI = "nvidia-smi --query-gpu={} --format=csv,noheader,nounits"
ALL = SMI.format(",".join(nvidia.FIELDS))
FEWER = SMI.format(",".join(nvidia.FEWER_FIELDS))


def test_nvidia_smi_is_asked_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without NVML the same comes from nvidia-smi, with the CUDA version of its headline."""
    monkeypatch.setattr(nvml, "load", lambda system: None)
    line = "NVIDIA A100-SXM4-80GB, 81920, 81000, 535.54.03, 8.0, Disabled"
    banner = "| NVIDIA-SMI 535.54.03   Driver Version: 535.54.03    CUDA Version: 12.2     |"
    found = probed(commands={ALL: line, "nvidia-smi": banner})
    assert found.values == {
        "nvidia_gpus": (
            NvidiaGpu(
                "NVIDIA A100-SXM4-80GB", 80 * GIB, 81000 * 2**20, (8, 0), "535.54.03", mig=False
            ),
        ),
        "nvidia_driver": "535.54.03",
        "cuda_version": (12, 2),
    }
    assert found.sources["nvidia_gpus"] == "nvidia-smi"


def test_an_old_nvidia_smi_is_asked_for_less(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that does not know compute_cap still gives names and sizes."""
    monkeypatch.setattr(nvml, "load", lambda system: None)
    found = probed(commands={FEWER: "Tesla K80, 11441, 11400, 418.87"})
    (gpu,) = found.values["nvidia_gpus"]
    assert (gpu.name, gpu.compute_capability, gpu.driver) == ("Tesla K80", None, "418.87")
    assert "cuda_version" not in found.values


def test_nvidia_smi_is_read() -> None:
    """What the driver doesn't tell is None; other lines are passed over."""
    text = "NVIDIA H200, 143771, 143000, 570.1, 9.0, Enabled\nGrace, [N/A], [N/A], 570.1\nnonsense"
    assert nvidia.parse_nvidia_smi(text) == (
        NvidiaGpu("NVIDIA H200", 143771 * 2**20, 143000 * 2**20, (9, 0), "570.1", mig=True),
        NvidiaGpu("Grace", driver="570.1"),
    )


@pytest.mark.parametrize("system", ["linux", "windows", "darwin"])
def test_neither_is_unknown(monkeypatch: pytest.MonkeyPatch, system: str) -> None:
    """Without both there is no saying whether there is a GPU."""
    monkeypatch.setattr(nvml, "load", lambda system: None)
    assert probed(system).values == {}


def test_a_hung_driver_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """NVML that does not come back leaves all unknown, and nvidia-smi is not waited for too."""
    release = threading.Event()
    monkeypatch.setattr(nvml, "load", lambda system: release.wait())
    monkeypatch.setattr(nvidia, "bounded", lambda work: probes.bounded(work, 0.05))
    line = "NVIDIA H200, 143771, 143000, 570.1, 9.0, Enabled"
    assert probed(commands={ALL: line}).values == {}
    release.set()
