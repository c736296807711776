"""Tests of `tricorn.hardware.other_gpus`."""

from __future__ import annotations

from pathlib import Path

from tests.hardware.machines import machine, write

from tricorn.hardware import other_gpus
from tricorn.hardware.nvidia import NvidiaGpu
from tricorn.hardware.other_gpus import OtherGpu
from tricorn.hardware.probe import Findings

RADEON = {
    "sys/class/drm/card1/device/vendor": "0x1002\n",
    "sys/class/drm/card1/device/device": "0x744c\n",
    "sys/class/drm/card1/device/mem_info_vram_total": "25753026560\n",
    "sys/class/drm/card1/device/uevent": "DRIVER=amdgpu\nPCI_SLOT_NAME=0000:03:00.0\n",
    "sys/class/drm/card1-HDMI-A-1/device/vendor": "0x1002\n",
}
KFD = {
    "sys/class/kfd/kfd/topology/nodes/0/properties": "cpu_cores_count 16\ngfx_target_version 0\n",
    "sys/class/kfd/kfd/topology/nodes/1/properties": (
        "simd_count 192\nlocation_id 768\ndomain 0\ngfx_target_version 110000\n"
    ),
}
ARC = {
    "sys/class/drm/card0/device/vendor": "0x8086\n",
    "sys/class/drm/card0/device/device": "0x56a0\n",
    "sys/class/drm/card0/device/uevent": "DRIVER=i915\n",
}
NOUVEAU = {
    "sys/class/drm/card2/device/vendor": "0x10de\n",
    "sys/class/drm/card2/device/device": "0x2684\n",
    "sys/class/drm/card2/device/uevent": "DRIVER=nouveau\n",
}


def test_amd(tmp_path: Path) -> None:
    """A Radeon has memory and an architecture; its connectors are no GPUs."""
    (gpu,) = other_gpus.graphics_cards(write(tmp_path, RADEON | KFD))
    assert gpu == OtherGpu("AMD", 0x744C, None, 25753026560, "gfx1100", "amdgpu")
    assert gpu.title == "AMD GPU (gfx1100)"


def test_amd_by_its_compute_driver_alone(tmp_path: Path) -> None:
    """A container that is given only /dev/kfd still shows its GPU, with MI200's letter."""
    node = "sys/class/kfd/kfd/topology/nodes/1/properties"
    files = {node: "location_id 8\ngfx_target_version 90010"}
    (gpu,) = other_gpus.graphics_cards(write(tmp_path, files))
    assert gpu.architecture == "gfx90a"


def test_intel(tmp_path: Path) -> None:
    """An Arc is named by its device number where the kernel has no name for it."""
    (gpu,) = other_gpus.graphics_cards(write(tmp_path, ARC))
    assert (gpu.vendor, gpu.driver, gpu.title) == ("Intel", "i915", "Intel GPU (device 56a0)")


def test_a_product_name_is_used(tmp_path: Path) -> None:
    """Where the kernel knows the name, people see it, with the maker's once."""
    (gpu,) = other_gpus.graphics_cards(
        write(tmp_path, RADEON | {"sys/class/drm/card1/device/product_name": "Radeon PRO W7900"})
    )
    assert gpu.title == "AMD Radeon PRO W7900"
    assert OtherGpu("AMD", product="AMD Instinct MI210").title == "AMD Instinct MI210"
    assert OtherGpu("Intel").title == "Intel GPU"


def probed(root: Path, *known: NvidiaGpu) -> Findings:
    found = Findings()
    found.note("nvidia_gpus", known or None, "NVML")
    other_gpus.probe(machine("linux", root), found)
    return found


def test_nvidia_is_listed_only_without_its_driver(tmp_path: Path) -> None:
    """A card that NVML told of is not listed twice; one with another driver is seen here."""
    write(tmp_path, NOUVEAU | ARC)
    alone = probed(tmp_path).values["other_gpus"]
    assert [gpu.vendor for gpu in alone] == ["Intel", "NVIDIA"]
    beside = probed(tmp_path, NvidiaGpu("NVIDIA GeForce RTX 4090")).values["other_gpus"]
    assert [gpu.vendor for gpu in beside] == ["Intel"]


def test_no_list_is_unknown(tmp_path: Path) -> None:
    """Without sysfs there is no saying; with an empty one there are none."""
    assert "other_gpus" not in probed(tmp_path).values
    (tmp_path / "sys/class/drm").mkdir(parents=True)
    assert probed(tmp_path).values["other_gpus"] == ()
