"""What is known of the machine Tricorn runs on; a fact that can't be known is None, never invented.

Standard library only, psutil where it happens to be importable: run.py looks at the machine before
anything is installed. Nothing here raises or hangs; a probe that fails leaves its facts unknown.
Inside a container the facts are those of the container: the CPU affinity and the cgroup's CPU quota
and memory limit are what this process really has.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from tricorn.hardware import apple, cpu, engines, memory, nvidia, other_gpus, surroundings
from tricorn.hardware.engines import InstalledEngine
from tricorn.hardware.nvidia import NvidiaGpu
from tricorn.hardware.other_gpus import OtherGpu
from tricorn.hardware.probe import Findings, Machine

__all__ = ["Facts", "InstalledEngine", "NvidiaGpu", "OtherGpu", "detect"]


@dataclass(frozen=True)
class Facts:
    """One machine, as this process sees it. Sizes in bytes; None means unknown."""

    # --- system
    os: str | None = None
    """linux, darwin or windows."""
    os_version: str | None = None
    """macOS's version; Linux's kernel release."""
    arch: str | None = None
    """x86_64 or arm64, whatever the system calls them."""
    libc: tuple[str, tuple[int, int]] | None = None
    """Linux's C library and its version, as ("glibc", (2, 36)): ready packages depend on it."""
    in_container: bool | None = None
    wsl: bool | None = None
    board: str | None = None
    """What a single-board computer calls itself: "Raspberry Pi 5 Model B", "NVIDIA Jetson …"."""
    python_version: str | None = None
    disk_free: int | None = None

    # --- CPU and memory
    cpu_model: str | None = None
    physical_cores: int | None = None
    """Usable by this process: within its affinity and its cgroup's quota; at least 1."""
    logical_cpus: int | None = None
    simd: tuple[str, ...] | None = None
    """Vector instruction sets: avx2, avx512, vnni, amx, neon, sve and the like."""
    numa_nodes: int | None = None
    memory_total: int | None = None
    memory_available: int | None = None
    memory_limit: int | None = None
    """The cgroup's limit; None where there is none."""

    # --- accelerators
    nvidia_gpus: tuple[NvidiaGpu, ...] | None = None
    """Empty: the driver knows of none. None: there is no driver or it doesn't answer."""
    nvidia_driver: str | None = None
    cuda_version: tuple[int, int] | None = None
    """The newest CUDA that the driver can run."""
    cuda_visible_devices: str | None = None
    """CUDA_VISIBLE_DEVICES where it is set; empty or -1 hides all GPUs."""
    apple_chip: str | None = None
    apple_working_set: int | None = None
    """What Metal recommends the GPU to use at most of the unified memory."""
    other_gpus: tuple[OtherGpu, ...] | None = None
    """Seen, but not used by any engine."""

    engines: tuple[InstalledEngine, ...] | None = None
    sources: dict[str, str] = field(default_factory=dict)
    """Where each known fact comes from, by its name."""

    @property
    def usable_memory(self) -> int | None:
        """What the main memory and the cgroup's limit leave to this process, however full."""
        sizes = [size for size in (self.memory_total, self.memory_limit) if size is not None]
        return min(sizes, default=None)

    @property
    def jetson(self) -> str | None:
        """The board's name where it is one of NVIDIA's Jetsons."""
        return self.board if self.board and "jetson" in self.board.lower() else None

    def summary(self) -> str:
        """One line for people; only what is known."""
        parts = [part for part in (self.os, self.arch, self.apple_chip or self.cpu_model) if part]
        if self.physical_cores is not None:
            parts.append(f"{self.physical_cores} core{'s' if self.physical_cores > 1 else ''}")
        if self.usable_memory is not None:
            parts.append(f"{self.usable_memory / 2**30:.1f} GiB of memory")
        parts += [gpu.name for gpu in self.nvidia_gpus or ()]
        parts += [gpu.title for gpu in self.other_gpus or ()]
        parts += [name for name in (self.board, "WSL" if self.wsl else None) if name]
        if self.in_container:
            parts.append("in a container")
        return ", ".join(parts) or "nothing could be detected"


def cpu_and_memory() -> Facts:
    """Cores and memory alone: takes no time, and asks no driver."""
    machine, found = Machine.here(), Findings()
    cpu.probe(machine, found)
    memory.probe(machine, found)
    return Facts(**found.values, sources=found.sources)


def detect(
    machine: Machine | None = None, *, engines_dir: Path | None = None, folder: Path | None = None
) -> Facts:
    """Look at this machine. Takes milliseconds, or some seconds where a driver hangs.

    machine: another one to look at, in tests.
    engines_dir: ENGINES_DIR; None leaves it unknown which engines are installed.
    folder: whose disk's free space counts; None: the current one.
    """
    machine = machine or Machine.here()
    found = Findings()
    surroundings.probe(machine, found, folder or Path())
    cpu.probe(machine, found)
    memory.probe(machine, found)
    apple.probe(machine, found)
    nvidia.probe(machine, found)
    other_gpus.probe(machine, found)
    engines.probe(found, engines_dir)
    return Facts(**found.values, sources=found.sources)
