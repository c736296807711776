"""Apple silicon: the chip, and how much of its unified memory the GPU may use."""

from __future__ import annotations

from tricorn.hardware.probe import Findings, Machine, integer

LARGE_BYTES = 36 * 2**30
"""From this size on, macOS lets the GPU use three quarters of the memory instead of two thirds."""


def probe(machine: Machine, found: Findings) -> None:
    if machine.system != "darwin":
        return
    found.note("os_version", machine.run("sw_vers", "-productVersion"), "sw_vers")
    brand = machine.sysctl("machdep.cpu.brand_string")
    if brand is None or not brand.startswith("Apple"):
        return
    found.note("apple_chip", brand, "sysctl machdep.cpu.brand_string")
    chosen = integer(machine.sysctl("iogpu.wired_limit_mb"))
    if chosen:  # 0: the system's own limit
        found.note("apple_working_set", chosen * 2**20, "sysctl iogpu.wired_limit_mb")
    total = integer(machine.sysctl("hw.memsize"))
    if total:
        found.note(
            "apple_working_set",
            recommended_working_set(total),
            "macOS's rule, from sysctl hw.memsize",
        )


def recommended_working_set(total: int) -> int:
    """Metal's recommendedMaxWorkingSetSize on a Mac with `total` bytes of unified memory.

    As Metal reports it on M1 to M3: 5.3 GiB of 8, 16 of 24, 21.3 of 32, 27 of 36, 96 of 128.
    """
    return total * 3 // 4 if total >= LARGE_BYTES else total * 2 // 3
