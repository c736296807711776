"""NVIDIA GPUs: asked of NVML, the driver's own library, and of nvidia-smi where that is missing."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from tricorn.hardware import nvml
from tricorn.hardware.probe import Findings, Machine, bounded, integer

FIELDS = (
    "name",
    "memory.total",
    "memory.free",
    "driver_version",
    "compute_cap",
    "mig.mode.current",
)
FEWER_FIELDS = FIELDS[:4]
"""What nvidia-smi of old drivers knows as well."""
CUDA_VERSION = re.compile(r"CUDA (?:UMD )?Version\s*:\s*(\d+)\.(\d+)")


@dataclass(frozen=True)
class NvidiaGpu:
    """One GPU. Sizes in bytes; None means unknown."""

    name: str
    memory_total: int | None = None
    memory_free: int | None = None
    compute_capability: tuple[int, int] | None = None
    driver: str | None = None
    mig: bool | None = None
    """Whether it is divided: programs then see its instances, not itself."""
    mig_instances: tuple[int | None, ...] = ()
    """The memory of each instance."""


@dataclass(frozen=True)
class NvidiaFacts:
    gpus: tuple[NvidiaGpu, ...]
    driver: str | None = None
    cuda_version: tuple[int, int] | None = None
    """The newest CUDA that the driver can run programs of."""


def probe(machine: Machine, found: Findings) -> None:
    if machine.system == "darwin":
        return
    if "CUDA_VISIBLE_DEVICES" in machine.environ:
        devices = machine.environ["CUDA_VISIBLE_DEVICES"].strip()
        found.note("cuda_visible_devices", devices, "environment")
    in_time, facts = bounded(lambda: ask_nvml(machine.system))
    source = "NVML"
    if facts is None and in_time:  # nvidia-smi asks NVML too: it would hang as well
        facts, source = ask_nvidia_smi(machine), "nvidia-smi"
    if facts is not None:
        found.note("nvidia_gpus", facts.gpus, source)
        found.note("nvidia_driver", facts.driver, source)
        found.note("cuda_version", facts.cuda_version, source)


def ask_nvml(system: str | None) -> NvidiaFacts | None:
    """What NVML knows; None where it is not there or its driver does not work."""
    library = nvml.load(system)
    return None if library is None else of_library(library)


def of_library(library: object) -> NvidiaFacts | None:
    """All facts from NVML's library; None where it can't be started."""
    with nvml.Session(library) as session:
        if not session.started:
            return None
        driver = session.driver()
        return NvidiaFacts(
            gpus=tuple(_gpu(session, device, driver) for device in session.devices()),
            driver=driver,
            cuda_version=session.cuda_version(),
        )


def memory_reader(library: object) -> Callable[[], list[int | None]]:
    """Reads the free bytes of each GPU, of a divided one its largest instance's. NVML stays open
    for it as long as the process lives: to start it anew each time would take far longer."""
    session = nvml.Session(library)
    session.__enter__()

    def read() -> list[int | None]:
        return [_free(session, device) for device in session.devices()]

    return read


def used_by_processes(library: object) -> list[dict[int, int | None]]:
    """For each GPU: bytes by process id."""
    with nvml.Session(library) as session:
        return [
            session.processes(device)
            | {
                pid: size
                for instance in session.mig_devices(device)
                for pid, size in session.processes(instance).items()
            }
            for device in session.devices()
        ]


def _free(session: nvml.Session, device: nvml.Device) -> int | None:
    instances = session.mig_devices(device) if session.mig_enabled(device) else []
    sizes = [session.memory(instance) for instance in instances] or [session.memory(device)]
    return max(sizes, key=lambda size: size[0] or 0)[1]


def _gpu(session: nvml.Session, device: nvml.Device, driver: str | None) -> NvidiaGpu:
    total, free = session.memory(device)
    mig = session.mig_enabled(device)
    instances = session.mig_devices(device) if mig else []
    return NvidiaGpu(
        name=session.name(device) or "an NVIDIA GPU",
        memory_total=total,
        memory_free=free,
        compute_capability=session.compute_capability(device),
        driver=driver,
        mig=mig,
        mig_instances=tuple(session.memory(instance)[0] for instance in instances),
    )


def ask_nvidia_smi(machine: Machine) -> NvidiaFacts | None:
    """What nvidia-smi knows; None where it is missing or fails."""
    for fields in (FIELDS, FEWER_FIELDS):
        query = f"--query-gpu={','.join(fields)}"
        text = machine.run("nvidia-smi", query, "--format=csv,noheader,nounits")
        if text is None:
            continue
        gpus = parse_nvidia_smi(text)
        version = CUDA_VERSION.search(machine.run("nvidia-smi") or "")
        return NvidiaFacts(
            gpus=gpus,
            driver=gpus[0].driver if gpus else None,
            cuda_version=(int(version[1]), int(version[2])) if version else None,
        )
    return None


def parse_nvidia_smi(text: str) -> tuple[NvidiaGpu, ...]:
    """The lines that a query of `FIELDS` or `FEWER_FIELDS` prints; sizes in MiB."""
    gpus = []
    for line in text.splitlines():
        values = [value.strip() for value in line.split(",")]
        if len(values) not in (len(FIELDS), len(FEWER_FIELDS)) or not values[0]:
            continue
        row = dict(zip(FIELDS, values, strict=False))
        gpus.append(
            NvidiaGpu(
                name=row["name"],
                memory_total=_mebibytes(row["memory.total"]),
                memory_free=_mebibytes(row["memory.free"]),
                compute_capability=_version(row.get("compute_cap", "")),
                driver=row["driver_version"] or None,
                mig={"Enabled": True, "Disabled": False}.get(row.get("mig.mode.current", "")),
            )
        )
    return tuple(gpus)


def _mebibytes(text: str) -> int | None:
    number = integer(text)
    return None if number is None else number * 2**20


def _version(text: str) -> tuple[int, int] | None:
    major, _, minor = text.partition(".")
    numbers = integer(major), integer(minor)
    return (numbers[0], numbers[1]) if None not in numbers else None  # type: ignore[return-value]
