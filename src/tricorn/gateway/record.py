"""What is logged of a request: one structured line when its answer has been sent.

Never prompts, answers or keys.
"""

from __future__ import annotations

import re
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import structlog
from flask import Flask, Response, g, has_request_context, request

from tricorn import logs
from tricorn.access.rate import Rate
from tricorn.gateway.requests.timing import Timing
from tricorn.manager.protocol.calls import Granted
from tricorn.tracing.headers import Headers

if TYPE_CHECKING:
    from tricorn.gateway.traces.request_trace import RequestTrace

REQUEST_ID_HEADER = "x-request-id"
IGNORED_HEADER = "x-tricorn-ignored"
TRUNCATED_HEADER = "x-tricorn-truncated"

_SANE_ID = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,126}[\x21-\x7e])?")
_PLAIN_NAME = re.compile(r"[A-Za-z0-9_.\[\]-]+")
_MAX_NAMES = 32
_NOT_SHOWN = ("began", "rate", "timing", "prompt", "told_apart", "trace")
_QUIET = {"/health", "/ready", "/metrics"}
"""Asked every few seconds by whatever watches over the server."""

log = structlog.get_logger(part="gateway")


@dataclass
class Record:
    """Filled in while the request is worked on, by whoever learns a fact."""

    request_id: str
    method: str
    path: str
    began: float = field(default_factory=time.monotonic)
    key: str | None = None
    """The id of the API key, where it is one that is known."""
    model: str | None = None
    stream: bool | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int | None = None
    finish_reason: str | None = None
    ignored: list[str] = field(default_factory=list)
    retried: bool = False
    error: str | None = None
    param: str | None = None
    message: str | None = None
    served: str | None = None
    """The id of the model that it got."""
    replica: str | None = None
    prompt: str | None = None
    """Where LOG_PROMPTS is on."""
    told_apart: bool = False
    """It has a line of its own in `inference.log`."""
    trace: RequestTrace | None = None
    """Where there are traces; then also …"""
    trace_id: str | None = None
    """… its number."""
    rate: Rate | None = None
    """How far the key's limits are used up."""
    timing: Timing = field(default_factory=Timing)

    def granted(self, lease: Granted) -> None:
        """It has a replica, maybe after it had another one."""
        self.served, self.replica = lease.served or lease.model_id, lease.replica or None
        self.rate = lease.rate
        self.timing.granted()

    def emit(self, status: int) -> None:
        facts = {
            name: value
            for name, value in vars(self).items()
            if value not in (None, [], False) and name not in _NOT_SHOWN
        }
        facts |= {name: round(s, 4) for name, s in self.timing.seconds(self.began).items()}
        facts["status"] = status
        facts["duration_s"] = round(time.monotonic() - self.began, 4)
        if self.told_apart:
            facts[logs.NOT_COPIED] = True
        if self.path in _QUIET or self.method == "OPTIONS":
            log.debug("request", **facts)
        elif status >= 500 or self.message is not None:
            log.warning("request", **facts)
        else:
            log.info("request", **facts)


def current() -> Record:
    """The record of the request being handled."""
    return cast(Record, g.record)


def trace_headers() -> Headers | None:
    """Of the request being handled, for those who work on it; None: it is not traced."""
    facts: Record | None = g.get("record") if has_request_context() else None
    return None if facts is None or facts.trace is None else facts.trace.headers


def ignored_header(names: list[str]) -> str:
    """The names for the header: a client chose them, so only plain ones are shown as they are."""
    shown = [name if _PLAIN_NAME.fullmatch(name) else ascii(name)[1:-1] for name in names]
    short = [name.replace(",", " ")[:64] for name in dict.fromkeys(shown)]
    more = [f"and {len(short) - _MAX_NAMES} more"] if len(short) > _MAX_NAMES else []
    return ", ".join(short[:_MAX_NAMES] + more)


def register(app: Flask) -> None:
    """Give every request of `app` its record, its id and its line in the log."""

    @app.before_request
    def begin() -> None:
        given = request.headers.get(REQUEST_ID_HEADER, "")
        request_id = given if _SANE_ID.fullmatch(given) else f"req_{uuid.uuid4().hex}"
        g.record = Record(request_id, request.method, request.path)

    @app.after_request
    def finish(response: Response) -> Response:
        record = current()
        response.headers[REQUEST_ID_HEADER] = record.request_id
        if record.ignored:
            response.headers[IGNORED_HEADER] = ignored_header(record.ignored)
        # A stream ends long after this: the server closes the answer when it has been sent.
        status = response.status_code
        response.call_on_close(lambda: record.emit(status))
        return response
