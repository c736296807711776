"""The NVIDIA Management Library, by ctypes: only the calls that the facts need.

Source: NVIDIA's NVML API reference. Each call gives 0 for success; anything else, and a function
that an old driver's library does not have, is "unknown" here. Some GPUs lack some answers: those
that share main memory with the CPU have no memory of their own to tell of.
"""

from __future__ import annotations

import ctypes
from types import TracebackType
from typing import Any

NAMES = {
    "linux": ("libnvidia-ml.so.1", "libnvidia-ml.so"),
    "windows": ("nvml.dll", r"C:\Program Files\NVIDIA Corporation\NVSMI\nvml.dll"),
}
TEXT_SIZE = 96
"""The longest text that any of these calls writes, with its end."""

Device = Any
"""An opaque handle."""


class _Memory(ctypes.Structure):
    _fields_ = [
        ("total", ctypes.c_ulonglong),
        ("free", ctypes.c_ulonglong),
        ("used", ctypes.c_ulonglong),
    ]


class _Process(ctypes.Structure):
    _fields_ = [
        ("pid", ctypes.c_uint),
        ("used", ctypes.c_ulonglong),
        ("gpu_instance", ctypes.c_uint),
        ("compute_instance", ctypes.c_uint),
    ]


MOST_PROCESSES = 256
"""That are asked for, on a GPU."""
NOT_AVAILABLE = 2**64 - 1
"""Instead of a size: Windows manages the memory itself."""


def load(system: str | None) -> object | None:
    """The library; None where this machine has none."""
    for name in NAMES.get(system or "", ()):
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    return None


class Session:
    """NVML between its start and its end: `with Session(library) as session`."""

    def __init__(self, library: object) -> None:
        self._library = library
        self.started = False

    def __enter__(self) -> Session:
        self.started = self._call("nvmlInit_v2")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.started:
            self._call("nvmlShutdown")

    def driver(self) -> str | None:
        """As "580.65.06"."""
        return self._text("nvmlSystemGetDriverVersion")

    def cuda_version(self) -> tuple[int, int] | None:
        number = ctypes.c_int()
        if not self._call("nvmlSystemGetCudaDriverVersion_v2", ctypes.byref(number)):
            return None
        return number.value // 1000, number.value % 1000 // 10  # 12040 is 12.4

    def devices(self) -> list[Device]:
        return self._handles(self._count("nvmlDeviceGetCount_v2"), "nvmlDeviceGetHandleByIndex_v2")

    def name(self, device: Device) -> str | None:
        return self._text("nvmlDeviceGetName", device)

    def memory(self, device: Device) -> tuple[int | None, int | None]:
        """Total and free bytes."""
        memory = _Memory()
        if not self._call("nvmlDeviceGetMemoryInfo", device, ctypes.byref(memory)):
            return None, None
        return int(memory.total) or None, int(memory.free)

    def processes(self, device: Device) -> dict[int, int | None]:
        """What each process that computes there takes of its memory, by its id."""
        count = ctypes.c_uint(MOST_PROCESSES)
        found = (_Process * MOST_PROCESSES)()
        name = "nvmlDeviceGetComputeRunningProcesses_v3"
        if not self._call(name, device, ctypes.byref(count), found):
            return {}
        return {
            int(one.pid): None if one.used == NOT_AVAILABLE else int(one.used)
            for one in found[: count.value]
        }

    def compute_capability(self, device: Device) -> tuple[int, int] | None:
        major, minor = ctypes.c_int(), ctypes.c_int()
        known = self._call(
            "nvmlDeviceGetCudaComputeCapability", device, ctypes.byref(major), ctypes.byref(minor)
        )
        return (major.value, minor.value) if known else None

    def mig_enabled(self, device: Device) -> bool | None:
        """None where the GPU cannot be divided."""
        now, pending = ctypes.c_uint(), ctypes.c_uint()
        known = self._call("nvmlDeviceGetMigMode", device, ctypes.byref(now), ctypes.byref(pending))
        return now.value == 1 if known else None

    def mig_devices(self, device: Device) -> list[Device]:
        """The instances that a divided GPU has now."""
        most = self._count("nvmlDeviceGetMaxMigDeviceCount", device)
        return self._handles(most, "nvmlDeviceGetMigDeviceHandleByIndex", device)

    # --- calls --------------------------------------------------------------------------------

    def _call(self, name: str, *arguments: Any) -> bool:
        function = getattr(self._library, name, None)
        return function is not None and function(*arguments) == 0

    def _text(self, name: str, *arguments: Any) -> str | None:
        buffer = ctypes.create_string_buffer(TEXT_SIZE)
        if not self._call(name, *arguments, buffer, ctypes.c_uint(TEXT_SIZE)):
            return None
        return buffer.value.decode("utf-8", errors="replace") or None

    def _count(self, name: str, *arguments: Any) -> int:
        count = ctypes.c_uint()
        return count.value if self._call(name, *arguments, ctypes.byref(count)) else 0

    def _handles(self, count: int, name: str, *arguments: Any) -> list[Device]:
        handles = []
        for index in range(count):
            handle = ctypes.c_void_p()
            if self._call(name, *arguments, ctypes.c_uint(index), ctypes.byref(handle)):
                handles.append(handle)
        return handles
