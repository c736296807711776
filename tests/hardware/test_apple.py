"""Tests of `tricorn.hardware.apple`."""

from __future__ import annotations

import pytest
from tests.hardware.machines import machine

from tricorn.hardware import apple
from tricorn.hardware.probe import Findings

GIB = 2**30
BRAND = "sysctl -n machdep.cpu.brand_string"
SIZE = "sysctl -n hw.memsize"
LIMIT = "sysctl -n iogpu.wired_limit_mb"


def probed(system: str, commands: dict[str, str]) -> Findings:
    found = Findings()
    apple.probe(machine(system, commands=commands), found)
    return found


@pytest.mark.parametrize(
    ("gibibytes", "expected"),
    [(8, 5.33), (16, 10.67), (24, 16.0), (32, 21.33), (36, 27.0), (128, 96.0), (512, 384.0)],
)
def test_recommended_working_set(gibibytes: int, expected: float) -> None:
    """What Metal reports on these Macs."""
    assert apple.recommended_working_set(gibibytes * GIB) / GIB == pytest.approx(expected, abs=0.01)


def test_apple_silicon() -> None:
    """Chip, system version and working set, with the rule named as its source."""
    found = probed(
        "darwin",
        {BRAND: "Apple M2 Pro", SIZE: str(32 * GIB), LIMIT: "0", "sw_vers -productVersion": "15.1"},
    )
    assert found.values["apple_chip"] == "Apple M2 Pro"
    assert found.values["os_version"] == "15.1"
    assert found.values["apple_working_set"] == 32 * GIB * 2 // 3
    assert "rule" in found.sources["apple_working_set"]


def test_a_limit_that_was_set_holds() -> None:
    """Who raised the limit of wired memory has that much for the GPU."""
    found = probed("darwin", {BRAND: "Apple M1", SIZE: str(8 * GIB), LIMIT: "7168"})
    assert found.values["apple_working_set"] == 7 * GIB


def test_intel_macs_and_others_have_no_apple_chip() -> None:
    """Nothing is made up elsewhere."""
    intel = probed("darwin", {BRAND: "Intel(R) Core(TM) i7-9750H", SIZE: str(16 * GIB)})
    assert intel.values == {}
    assert probed("linux", {BRAND: "Apple M1"}).values == {}
