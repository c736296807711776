"""Graphics processors of AMD and Intel, and NVIDIA's without its driver: recognised and reported.

No engine of this version uses them; people shall see that they were seen. Linux only: the kernel
lists them below /sys/class/drm, and AMD's compute driver below /sys/class/kfd.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tricorn.hardware.probe import Findings, Machine, folders, integer, read

VENDORS = {0x1002: "AMD", 0x8086: "Intel", 0x10DE: "NVIDIA"}


@dataclass(frozen=True)
class OtherGpu:
    vendor: str
    """AMD, Intel or NVIDIA."""
    device_id: int | None = None
    """The PCI device number: it names the model where `product` doesn't."""
    product: str | None = None
    memory_total: int | None = None
    """Bytes; None where it is unknown or the main memory."""
    architecture: str | None = None
    """AMD's name of what compilers aim at, such as gfx1100."""
    driver: str | None = None

    @property
    def title(self) -> str:
        """For people."""
        if self.product:
            named = self.product.startswith(self.vendor)
            return self.product if named else f"{self.vendor} {self.product}"
        detail = self.architecture
        if detail is None and self.device_id is not None:
            detail = f"device {self.device_id:04x}"
        return f"{self.vendor} GPU ({detail})" if detail else f"{self.vendor} GPU"


def probe(machine: Machine, found: Findings) -> None:
    """NVIDIA's cards are noted where NVIDIA's driver does not answer: run after its own probe."""
    if machine.system != "linux":
        return
    driver_answers = bool(found.values.get("nvidia_gpus"))
    gpus = [
        gpu
        for gpu in graphics_cards(machine.root)
        if not (gpu.vendor == "NVIDIA" and driver_answers)
    ]
    if gpus or (machine.root / "sys/class/drm").is_dir():
        found.note("other_gpus", tuple(gpus), "/sys/class/drm and /sys/class/kfd")


def graphics_cards(root: Path) -> list[OtherGpu]:
    """Every graphics card that the kernel lists and whose maker is known here."""
    architectures = _amd_architectures(root)
    cards: list[OtherGpu] = []
    for device in folders(root / "sys/class/drm", "card*/device"):
        if not device.parent.name.removeprefix("card").isdigit():
            continue  # card0-HDMI-A-1: a connector
        vendor = VENDORS.get(integer(read(device / "vendor"), 16) or 0)
        if vendor is None:
            continue
        event = _pairs(device / "uevent", "=")
        cards.append(
            OtherGpu(
                vendor=vendor,
                device_id=integer(read(device / "device"), 16),
                product=read(device / "product_name") or None,
                memory_total=integer(read(device / "mem_info_vram_total")),
                architecture=architectures.pop(event.get("PCI_SLOT_NAME", ""), None),
                driver=event.get("DRIVER"),
            )
        )
    # A container may be given the compute driver without the graphics one.
    rest = [OtherGpu("AMD", architecture=name, driver="amdgpu") for name in architectures.values()]
    return cards + rest


def _amd_architectures(root: Path) -> dict[str, str]:
    """PCI address → architecture of each GPU that AMD's compute driver serves."""
    found: dict[str, str] = {}
    for file in folders(root / "sys/class/kfd/kfd/topology/nodes", "*/properties"):
        properties = _pairs(file, " ")
        version = integer(properties.get("gfx_target_version"))
        place = integer(properties.get("location_id"))
        if not version or place is None:
            continue  # a CPU's node
        address = (
            f"{integer(properties.get('domain')) or 0:04x}:"
            f"{place >> 8:02x}:{place >> 3 & 31:02x}.{place & 7}"
        )
        major, minor, step = version // 10000, version // 100 % 100, version % 100
        found[address] = f"gfx{major}{minor:x}{step:x}"
    return found


def _pairs(file: Path, separator: str) -> dict[str, str]:
    lines = (line.partition(separator) for line in (read(file) or "").splitlines())
    return {name.strip(): value.strip() for name, _, value in lines}
