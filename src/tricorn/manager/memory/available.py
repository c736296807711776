"""What the machine has free now, by place: read anew when the last reading is a second old."""

from __future__ import annotations

import time
from collections.abc import Callable

from tricorn import logs
from tricorn.hardware import memory, nvidia, nvml, probe
from tricorn.hardware.facts import Facts
from tricorn.manager.memory.ledger import MAIN, Needs, cuda

FRESH_S = 1.0
TIMEOUT_S = 0.5
"""A driver that takes longer is not asked again: this holds the manager up."""

Read = Callable[[], Needs]

log = logs.get("memory")


class Available:
    """For the ledger: cheap to call, from one thread.

    A reading takes about a millisecond, and a few where there are GPUs.
    """

    def __init__(self, read: Read, clock: Callable[[], float] = time.monotonic) -> None:
        self._read = read
        self._clock = clock
        self._last: Needs = {}
        self._until: float | None = None

    def __call__(self) -> Needs:
        now = self._clock()
        if self._until is None or now >= self._until:
            self._last = self._read()
            self._until = now + FRESH_S
        return self._last

    def forget(self) -> None:
        """Read anew with the next call: something has changed."""
        self._until = None

    def fresh(self) -> Needs:
        """However old the last reading is."""
        self.forget()
        return self()


def of_machine(machine: Facts) -> Available:
    """Of the machine that this process runs on, whose facts are given. Blocks, once, where there
    are GPUs: for milliseconds, or for seconds where their driver hangs."""
    here = probe.Machine.here()
    cards = _cards(here) if machine.nvidia_gpus else None

    def read() -> Needs:
        nonlocal cards
        free = memory.free_now(here)
        found = {} if free is None else {MAIN: free}
        if cards is not None:
            in_time, sizes = probe.bounded(cards, TIMEOUT_S)
            if not in_time:
                log.warning("the driver of the GPUs does not answer: their memory is not watched")
                cards = None
            for number, size in enumerate(sizes or ()):
                if size is not None:
                    found[cuda(number)] = size
        return found

    return Available(read)


def _cards(here: probe.Machine) -> Callable[[], list[int | None]] | None:
    library = nvml.load(here.system)
    if library is None:
        return None
    return probe.bounded(lambda: nvidia.memory_reader(library))[1]
