"""Tests of `tricorn.hardware.surroundings`."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.hardware.machines import machine, write

from tricorn.hardware import surroundings
from tricorn.hardware.probe import Findings


@pytest.mark.parametrize(
    ("files", "environ", "expected"),
    [
        ({".dockerenv": ""}, {}, True),
        ({"run/.containerenv": ""}, {}, True),
        ({"proc/1/cgroup": "0::/kubepods/x"}, {}, True),
        ({}, {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, True),
        ({"proc/1/cgroup": "0::/init.scope"}, {}, False),
    ],
)
def test_container_marks(
    tmp_path: Path, files: dict[str, str], environ: dict[str, str], expected: bool
) -> None:
    """The marks of container runtimes are recognised; none: not in a container."""
    box = machine("linux", write(tmp_path, files), environ=environ)
    assert surroundings.in_container(box) is expected


@pytest.mark.parametrize(
    ("release", "expected"),
    [
        ("5.15.167.4-microsoft-standard-WSL2", True),
        ("4.4.0-19041-Microsoft", True),
        ("6.8.0-45-generic", False),
        (None, None),
    ],
)
def test_wsl(tmp_path: Path, release: str | None, expected: bool | None) -> None:
    """Windows's Linux is known by its kernel's name."""
    if release is not None:
        write(tmp_path, {"proc/sys/kernel/osrelease": release})
    assert surroundings.is_wsl(machine("linux", tmp_path)) is expected


@pytest.mark.parametrize(
    ("name", "version", "expected"),
    [
        ("glibc", "2.36", ("glibc", (2, 36))),
        ("musl", "1.2.5", ("musl", (1, 2))),
        ("", "", None),
        ("glibc", "x.y", None),
    ],
)
def test_libc(name: str, version: str, expected: tuple[str, tuple[int, int]] | None) -> None:
    """The C library's name and version, where the interpreter knows them."""
    assert surroundings.libc(name, version) == expected


def test_boards_tell_their_name(tmp_path: Path) -> None:
    """A Raspberry Pi and a Jetson are known by the device tree."""
    found = Findings()
    files = {"proc/device-tree/model": "NVIDIA Jetson AGX Orin Developer Kit\0"}
    surroundings.probe(machine("linux", write(tmp_path, files)), found, tmp_path)
    assert found.values["board"] == "NVIDIA Jetson AGX Orin Developer Kit"


def test_free_space_of_a_folder_to_be_made(tmp_path: Path) -> None:
    """The disk counts on which the folder will be."""
    free = surroundings.disk_free(tmp_path / "not/yet/there")
    assert free is not None
    assert free > 0
