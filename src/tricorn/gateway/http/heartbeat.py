"""One clock for all waits of a gateway process: tells those to which nothing happens.

A timer for each wait would be set and taken back with every token of every stream, which costs more
than the wait itself.
"""

from __future__ import annotations

import threading
from queue import SimpleQueue

SILENCE = object()
"""What an inbox gets when nothing else has come for a while."""


class Pulse:
    """Of one wait. Whoever reads the inbox sets `alive` at each thing that comes."""

    def __init__(self, inbox: SimpleQueue[object]) -> None:
        self._inbox = inbox
        self.alive = True

    def beat(self) -> None:
        # What is there and not read yet will tell as well that the wait is over.
        if not self.alive and self._inbox.empty():
            self._inbox.put(SILENCE)
        self.alive = False


class Heartbeat:
    """interval_s: an inbox hears of silence after half of it at the earliest, all of it at the
    latest, and again while it lasts."""

    def __init__(self, interval_s: float) -> None:
        self._half_s = interval_s / 2
        self._pulses: set[Pulse] = set()
        self._over = threading.Event()
        threading.Thread(target=self._run, name="heartbeat", daemon=True).start()

    def watch(self, inbox: SimpleQueue[object]) -> Pulse:
        pulse = Pulse(inbox)
        self._pulses.add(pulse)
        return pulse

    def forget(self, pulse: Pulse) -> None:
        self._pulses.discard(pulse)

    def close(self) -> None:
        self._over.set()

    def _run(self) -> None:
        while not self._over.wait(self._half_s):
            for pulse in self._pulses.copy():
                pulse.beat()
