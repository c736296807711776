"""What a test does that asks a manager for leases as a gateway does."""

from __future__ import annotations

import queue

from tricorn.manager.protocol.calls import Progress


def answer(inbox: queue.SimpleQueue[object], timeout_s: float) -> object:
    """The call's answer, past what is told of its wait; each may take so long."""
    while isinstance(arrived := inbox.get(timeout=timeout_s), Progress):
        continue
    return arrived
