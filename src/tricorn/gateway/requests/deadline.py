"""When a request has to be done: by REQUEST_TIMEOUT_S, or sooner where its client says so.

One thread tells all waits of a gateway process, as the heartbeat does.
"""

from __future__ import annotations

import heapq
import itertools
import math
import threading
import time
from dataclasses import dataclass
from queue import SimpleQueue

from flask import has_request_context, request

from tricorn.errors import DeadlineExceeded, InvalidRequest
from tricorn.gateway import record

HEADER = "x-request-timeout"
LONGEST_WAIT_S = 3600.0
"""Of the thread, which looks again then: no system waits for as long as a client may ask for."""
LATE = object()
"""What an inbox gets when its time is over."""


@dataclass(frozen=True)
class Allowed:
    """What a request may take."""

    seconds: float
    until: float
    """By `time.monotonic`."""

    def exceeded(self) -> DeadlineExceeded:
        return DeadlineExceeded(
            f"The request was not done within {self.seconds:g} seconds ({HEADER} or "
            "REQUEST_TIMEOUT_S)."
        )


def of_request(most_s: float) -> Allowed | None:
    """Of the one being handled; None: it may take as long as it likes. most_s: the setting, 0 for
    no end. InvalidRequest."""
    if not has_request_context():
        return None
    allowed = seconds(request.headers.get(HEADER), most_s)
    return None if allowed is None else Allowed(allowed, record.current().began + allowed)


def seconds(asked: str | None, most_s: float) -> float | None:
    """asked: what its client says. As `of_request`."""
    most = most_s or math.inf
    if asked is not None:
        try:
            wanted = float(asked)
        except ValueError:
            wanted = math.nan
        if not 0 < wanted < math.inf:
            raise InvalidRequest(f"'{HEADER}' must be a number of seconds above 0.", param=HEADER)
        most = min(most, wanted)
    return None if most == math.inf else most


class Deadlines:
    """Safe to use from any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._numbers = itertools.count()
        self._ends: list[tuple[float, int]] = []
        self._inboxes: dict[int, SimpleQueue[object]] = {}
        self._running = False

    def watch(self, inbox: SimpleQueue[object], at: float) -> int:
        """Put LATE into `inbox` at that moment of `time.monotonic`; a ticket for `forget`."""
        with self._changed:
            number = next(self._numbers)
            self._inboxes[number] = inbox
            heapq.heappush(self._ends, (at, number))
            if not self._running:
                self._running = True
                threading.Thread(target=self._run, name="deadlines", daemon=True).start()
            elif self._ends[0][1] == number:
                self._changed.notify()
        return number

    def forget(self, ticket: int) -> None:
        """It is done; a second call does nothing."""
        with self._changed:
            self._inboxes.pop(ticket, None)
            # Those that ended in time would otherwise stay until theirs is over.
            if len(self._ends) > 2 * len(self._inboxes) + 64:
                self._ends = [end for end in self._ends if end[1] in self._inboxes]
                heapq.heapify(self._ends)

    def _run(self) -> None:
        with self._changed:
            while True:
                left = self._tell()
                self._changed.wait(None if left is None else min(left, LONGEST_WAIT_S))

    def _tell(self) -> float | None:
        """Tell all whose time is over; seconds until the next one's is."""
        while self._ends:
            at, number = self._ends[0]
            left = at - time.monotonic()
            if left > 0 and number in self._inboxes:
                return left
            heapq.heappop(self._ends)
            inbox = self._inboxes.pop(number, None)
            if inbox is not None:
                inbox.put(LATE)
        return None
