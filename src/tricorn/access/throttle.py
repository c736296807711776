"""Slows down whoever tries keys. With a clock that is given.

Each address may fail so often a minute; what is beyond is refused without a look at the key. Of an
address that is not heard of for a minute nothing is kept.
"""

from __future__ import annotations

import ipaddress
import threading
from collections import OrderedDict
from collections.abc import Callable

from tricorn.access.bucket import Bucket

FAILURES_PER_MINUTE = 20
MOST_ADDRESSES = 10_000


def of_one(address: str) -> str:
    """What stands for all addresses that one guesser has for sure: of IPv6 a network of 64 bits."""
    if ":" not in address:
        return address
    try:
        found = ipaddress.IPv6Address(address)
    except ValueError:
        return address
    # One of IPv4, where both are listened on by one socket.
    return str(found.ipv4_mapped or ipaddress.IPv6Network((int(found) >> 64 << 64, 64)))


class Throttle:
    """Safe to use from any thread."""

    def __init__(self, clock: Callable[[], float], per_minute: int = FAILURES_PER_MINUTE) -> None:
        self._clock = clock
        self._per_minute = per_minute
        self._lock = threading.Lock()
        self._failing: OrderedDict[str, Bucket] = OrderedDict()
        """By address, who failed longest ago first."""

    def wait_s(self, address: str) -> float:
        """Seconds until it may try again; 0: now."""
        address = of_one(address)
        with self._lock:
            bucket = self._failing.get(address)
            return 0.0 if bucket is None else bucket.wait_s(1)

    def failed(self, address: str) -> None:
        """It has brought a key that is none."""
        address = of_one(address)
        with self._lock:
            bucket = self._failing.get(address)
            if bucket is None:
                bucket = self._failing[address] = Bucket(self._per_minute, self._clock)
            bucket.take(1)
            self._failing.move_to_end(address)
            while self._failing:
                oldest = next(iter(self._failing))
                full = self._failing[oldest].is_full()
                if not full and len(self._failing) <= MOST_ADDRESSES:
                    return
                del self._failing[oldest]
