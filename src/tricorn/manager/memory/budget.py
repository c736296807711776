"""How much memory all models together may take, by place, on a machine. Pure.

Unasked that is what the machine has, less a reserve for everything else. MAX_CPU_MEMORY and
MAX_GPU_MEMORY say it themselves, and are taken at their word as far as there is so much.
"""

from __future__ import annotations

from tricorn.hardware.facts import Facts
from tricorn.hardware.nvidia import NvidiaGpu
from tricorn.manager.memory.ledger import MAIN, METAL, cuda
from tricorn.settings.quantities import MemoryAmount, amount_of

MIB, GIB = 1 << 20, 1 << 30

LEAST_RESERVE = GIB
"""Of main memory, for the system, the gateway and this process."""
RESERVE_SHARE = 10
"""A tenth of it, where that is more."""
MOST_OF_IT = 2
"""Though never more than half."""
GPU_RESERVE = 256 * MIB
"""Of each GPU: its driver's own, and a desktop's. As vLLM takes 92 % unasked, that must be less
than 8 % of the cards that it runs on."""
GPU_RESERVE_SHARE = 20
"""Though no more than a twentieth of a small one."""


def budget(
    machine: Facts,
    *,
    max_cpu: MemoryAmount | None = None,
    max_gpu: MemoryAmount | None = None,
) -> dict[str, int]:
    """Bytes by place. A place is left out where nothing tells its size: it is not bounded."""
    main = machine.usable_memory
    found = {MAIN: _bytes(max_cpu, main, reserve_of_main(main or 0))}
    if machine.apple_working_set is not None:
        # Metal's recommendation leaves the system its share already.
        found[METAL] = _bytes(max_gpu, machine.apple_working_set, 0)
    for number, size in gpus(machine).items():  # hidden ones too: a model may be bound to them
        found[cuda(number)] = _bytes(max_gpu, size, reserve_of_gpu(size or 0))
    return {place: size for place, size in found.items() if size is not None}


def gpus(machine: Facts) -> dict[int, int | None]:
    """The NVIDIA GPUs by the driver's number, and their sizes. Of a divided one a program sees one
    instance only."""
    return {number: _size(gpu) for number, gpu in enumerate(machine.nvidia_gpus or ())}


def visible_gpus(machine: Facts) -> dict[int, int | None]:
    """Those that programs see which are started here and bound to none. CUDA_VISIBLE_DEVICES counts
    as far as it gives numbers; where it names GPUs in another way, all are taken to be there."""
    sizes = gpus(machine)
    named = machine.cuda_visible_devices
    if named is None:
        return sizes
    words = [word.strip() for word in named.split(",") if word.strip()]
    if not all(word.lstrip("-").isdigit() for word in words):
        return sizes
    return {int(word): sizes[int(word)] for word in words if int(word) in sizes}


def reserve_of_main(total: int) -> int:
    """What is left to everything that is no model."""
    return min(max(LEAST_RESERVE, total // RESERVE_SHARE), total // MOST_OF_IT)


def reserve_of_gpu(total: int) -> int:
    return min(GPU_RESERVE, total // GPU_RESERVE_SHARE)


def _bytes(wanted: MemoryAmount | None, total: int | None, reserve: int) -> int | None:
    if wanted is None:
        return None if total is None else total - reserve
    asked = amount_of(wanted, total)
    return asked if asked is None or total is None else min(asked, total)


def _size(gpu: NvidiaGpu) -> int | None:
    shares = [size for size in gpu.mig_instances if size is not None]
    return max(shares) if shares else gpu.memory_total
