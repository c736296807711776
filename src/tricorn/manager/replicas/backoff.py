"""How long to wait before something that failed is tried again. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Backoff:
    """Seconds before the next try, doubling with each failure in a row."""

    first_s: float
    longest_s: float
    free: int = 0
    """So many first failures are tried again at once."""

    def delay_s(self, failures: int) -> float:
        """The wait after `failures` in a row; 0 when there were none."""
        if failures <= self.free:
            return 0.0
        # The exponent is bounded so that a long row of failures does not overflow a float.
        return min(self.longest_s, self.first_s * 2.0 ** min(failures - self.free - 1, 32))


AFTER_CRASH = Backoff(first_s=0.5, longest_s=30.0, free=1)
"""An engine that had been ready: a single crash is mended at once."""

AFTER_LOAD_FAILURE = Backoff(first_s=1.0, longest_s=60.0)
"""A load that failed mostly fails again; requests meanwhile are told the reason at once."""

GATEWAY = Backoff(first_s=0.2, longest_s=10.0)
