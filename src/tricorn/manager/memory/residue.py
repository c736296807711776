"""Whether memory really came back when a model was unloaded. It is reported, never acted upon.

What is free is read before the process is told to end and after it has ended; what the replica held
should be the difference. Other programs take and give memory all the time, so small differences
say nothing, and where another replica started or ended in between nothing is said at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from tricorn import logs
from tricorn.manager.memory.ledger import Needs

MIB = 1 << 20

NOISE = 256 * MIB
"""What other programs may have taken meanwhile."""
NOISE_SHARE = 0.1
"""Of what it held, where that is more."""
SETTLE_S = 2.0
"""The system takes a moment to clear away large processes, and a GPU's driver longer."""
LOOKS = 4

log = logs.get("memory")


def residue(held: Needs, before: Needs, after: Needs) -> dict[str, int]:
    """Bytes that did not come back, by place, where they are more than noise.

    held: what the replica was thought to have. before, after: what was free.
    """
    found = {}
    for place, size in held.items():
        if place in before and place in after:
            missing = size - (after[place] - before[place])
            if missing > max(NOISE, NOISE_SHARE * size):
                found[place] = missing
    return found


@dataclass(frozen=True)
class Ending:
    """A replica that is about to end."""

    model: str
    held: Needs
    before: Needs
    disturbance: int


class ResidueWatch:
    """available: what is free now, by place, read anew."""

    def __init__(
        self, available: Callable[[], Needs], *, settle_s: float = SETTLE_S, looks: int = LOOKS
    ) -> None:
        self._available = available
        self._settle_s = settle_s
        self._looks = looks
        self._disturbances = 0
        self._found: dict[str, dict[str, int]] = {}

    def disturbed(self) -> None:
        """A replica starts or ends, or begins or finishes loading: what is free changes by it."""
        self._disturbances += 1

    def ending(self, model: str, held: Needs) -> Ending:
        """Call before its process is told to end."""
        self.disturbed()
        return Ending(model, dict(held), dict(self._available()), self._disturbances)

    async def ended(self, ending: Ending) -> dict[str, int] | None:
        """Call once its process is gone: what did not come back, by place. None where that cannot
        be told, because something else has started or ended."""
        left: dict[str, int] = {}
        for look in range(self._looks):
            if look:  # the first one at once: in a swap the next load begins right now
                await asyncio.sleep(self._settle_s / (self._looks - 1))
            if self._disturbances != ending.disturbance:
                return None
            left = residue(ending.held, ending.before, self._available())
            if not left:
                break
        if left:
            sizes = {place: f"{size / MIB:.0f} MiB" for place, size in left.items()}
            log.warning("memory did not come back after an unload", model=ending.model, **sizes)
        self._found[ending.model] = left
        return left

    def of(self, model: str) -> dict[str, int] | None:
        """After its last unload; None where that is not known."""
        return self._found.get(model)
