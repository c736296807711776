"""Counts what this gateway process serves, and tells the manager, which adds up all of them."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Collection

import msgspec
from flask import Flask, Response, request

from tricorn.gateway import record
from tricorn.gateway.record import Record
from tricorn.gateway.services import Services
from tricorn.manager.protocol.usage import EndedRequest, HttpAnswers, Usage

REPORT_S = 1.0
MAX_KEPT = 10_000
"""Requests, and lines, that are kept while the manager is away; the sums count all."""
NO_ROUTE = "none"
"""The route of what was asked for and is not there."""

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
OTHER_METHOD = "other"
"""A client may send any word."""

_NOTHING = Usage(0, 0, 0.0, 0, 0)


class UsageCounter:
    """Counts from any thread; tells about once a second while there is something to tell."""

    def __init__(self, services: Services, interval_s: float = REPORT_S) -> None:
        self._services = services
        self._interval_s = interval_s
        self._lock = threading.Lock()  # guards all that follows
        self._counted = _NOTHING
        self._ended: deque[EndedRequest] = deque(maxlen=MAX_KEPT)
        self._answers: Counter[tuple[str, str, int]] = Counter()
        self._lines: deque[bytes] = deque(maxlen=MAX_KEPT)
        self._timer: threading.Timer | None = None

    def answered(self, method: str, route: str, status: int) -> None:
        """Anything."""
        with self._lock:
            self._answers[method, route, status] += 1
            self._later()

    def add(self, facts: Record, ended: EndedRequest) -> None:
        """A request to a model has ended."""
        one = Usage(
            1,
            int(ended.status >= 500),
            ended.seconds,
            facts.prompt_tokens or 0,
            facts.completion_tokens or 0,
        )
        with self._lock:
            self._counted = self._counted.plus(one)
            self._ended.append(ended)
            self._later()

    def line(self, line: bytes) -> None:
        """Something was logged."""
        with self._lock:
            self._lines.append(line)
            self._later()

    def flush(self) -> None:
        """Tell what there is now, instead of soon."""
        with self._lock:
            timer = self._timer
        if timer is not None:
            timer.cancel()
            self._tell()

    def _later(self) -> None:
        if self._timer is None:
            self._timer = threading.Timer(self._interval_s, self._tell)
            self._timer.daemon = True
            self._timer.start()

    def _tell(self) -> None:
        with self._lock:
            usage = msgspec.structs.replace(
                self._counted,
                ended=list(self._ended),
                answers=[HttpAnswers(*kind, count) for kind, count in self._answers.items()],
                lines=list(self._lines),
            )
            self._counted = _NOTHING
            self._ended.clear()
            self._answers.clear()
            self._lines.clear()
            self._timer = None
        if not self._services.manager.report(usage):
            with self._lock:  # it is told when the manager is back
                self._counted = self._counted.plus(usage.counts())
                self._ended.extendleft(reversed(usage.ended[: MAX_KEPT - len(self._ended)]))
                self._lines.extendleft(reversed(usage.lines[: MAX_KEPT - len(self._lines)]))
                for one in usage.answers:
                    self._answers[one.method, one.route, one.status] += one.count
                self._later()


def ended(facts: Record, route: str, status: int) -> EndedRequest:
    """What the manager is told of it."""
    now = time.monotonic()
    seconds = facts.timing.seconds(facts.began)
    return EndedRequest(
        time=time.time(),
        request_id=facts.request_id,
        route=route,
        status=status,
        seconds=now - facts.began,
        key=facts.key or "",
        model=facts.served or facts.model or "",
        served=facts.served is not None,
        replica=facts.replica or "",
        stream=bool(facts.stream),
        prompt_tokens=facts.prompt_tokens,
        completion_tokens=facts.completion_tokens,
        cached_tokens=facts.cached_tokens,
        gaps=facts.timing.gaps,
        gaps_s=facts.timing.gaps_s,
        finish_reason=facts.finish_reason,
        error=facts.error,
        retried=facts.retried,
        prompt=facts.prompt,
        trace_id=facts.trace_id,
        **seconds,
    )


def register(app: Flask, services: Services, counted: Collection[str]) -> UsageCounter:
    """counted: the blueprints whose POST requests are to models."""
    counter = UsageCounter(services)

    @app.after_request
    def count(response: Response) -> Response:
        facts, status, method = record.current(), response.status_code, request.method
        route = request.url_rule.rule if request.url_rule is not None else NO_ROUTE
        to_model = method == "POST" and request.blueprint in counted
        facts.told_apart = to_model

        def close() -> None:
            counter.answered(method if method in METHODS else OTHER_METHOD, route, status)
            if to_model:
                counter.add(facts, ended(facts, route, status))

        response.call_on_close(close)
        return response

    return counter
