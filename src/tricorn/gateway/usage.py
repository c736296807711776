"""Counts what this gateway process serves, and tells the manager, which adds up all of them."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection

from flask import Flask, Response, request

from tricorn.gateway import record
from tricorn.gateway.record import Record
from tricorn.gateway.services import Services
from tricorn.manager.protocol import Usage

REPORT_S = 1.0


class UsageCounter:
    """Counts from any thread; tells about once a second while there is something to tell."""

    def __init__(self, services: Services, interval_s: float = REPORT_S) -> None:
        self._services = services
        self._interval_s = interval_s
        self._lock = threading.Lock()
        self._counted = Usage(0, 0, 0.0, 0, 0)
        self._timer: threading.Timer | None = None

    def add(self, facts: Record, status: int) -> None:
        """A request has ended."""
        with self._lock:
            before = self._counted
            self._counted = Usage(
                before.requests + 1,
                before.failed + (status >= 500),
                before.seconds + time.monotonic() - facts.began,
                before.prompt_tokens + (facts.prompt_tokens or 0),
                before.completion_tokens + (facts.completion_tokens or 0),
            )
            if self._timer is None:
                self._later()

    def _later(self) -> None:
        self._timer = threading.Timer(self._interval_s, self._tell)
        self._timer.daemon = True
        self._timer.start()

    def _tell(self) -> None:
        with self._lock:
            counted, self._counted = self._counted, Usage(0, 0, 0.0, 0, 0)
            self._timer = None
        if not self._services.manager.report(counted):
            with self._lock:  # it is told when the manager is back
                self._counted = self._counted.plus(counted)
                if self._timer is None:
                    self._later()


def register(app: Flask, services: Services, counted: Collection[str]) -> None:
    """counted: the blueprints whose POST requests count."""
    counter = UsageCounter(services)

    @app.after_request
    def count(response: Response) -> Response:
        if request.method == "POST" and request.blueprint in counted:
            facts, status = record.current(), response.status_code
            response.call_on_close(lambda: counter.add(facts, status))
        return response
