"""Waiting in tests for what announces itself by no event: bounded, and short between looks."""

from __future__ import annotations

import time
from collections.abc import Callable

PAUSE_S = 0.005


def wait_until(condition: Callable[[], object], timeout_s: float = 15.0) -> None:
    """Return once `condition` is true; AssertionError where it is not within `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(PAUSE_S)
