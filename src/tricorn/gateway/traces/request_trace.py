"""The spans of one request, as its gateway sees it: the server's, and the engine's below it.

Imported only where traces are wanted. Handlers tell it of what no record knows; nothing is told
for each token.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import msgspec
from flask import Request
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.util.types import AttributeValue

from tricorn.engines.request import SamplingParams
from tricorn.gateway.record import Record
from tricorn.gateway.traces import trace_contents
from tricorn.tracing import names
from tricorn.tracing.export import Traces, below, fail, headers, known, received
from tricorn.tracing.headers import NAMES, trace_id

CLIENT_GONE = "client_gone"
"""The error of a request that nobody waited for any more: no failure of ours."""


class RequestTrace:
    """operation: of the conventions, as `names` has them."""

    def __init__(self, traces: Traces, operation: str, request: Request, facts: Record) -> None:
        self._traces = traces
        self._operation = operation
        self._facts = facts
        # What is timed by the monotonic clock, which never jumps, is told by the calendar's.
        self._calendar_ns = time.time_ns() - time.monotonic_ns()
        parent = received({name: request.headers.get(name) for name in NAMES})
        self._span = traces.begin(
            operation,
            parent,
            _of_http(request) | {names.OPERATION: operation, names.PROVIDER: names.TRICORN},
            kind=SpanKind.SERVER,
            start_ns=self._unix_ns(facts.began),
        )
        self.headers = headers(self._span)
        """For the manager and the engine."""
        self.id = trace_id(self.headers)
        self._prompts: Sequence[msgspec.Struct] = ()
        self._response_id: str | None = None
        self._sampling: SamplingParams | None = None
        self._prompt_taken_at: float | None = None
        self._left_engine_at: float | None = None
        self._waited_s: float | None = None

    # --- told by handlers -----------------------------------------------------------------------

    def asked(self, prompts: Sequence[msgspec.Struct], sampling: SamplingParams | None) -> None:
        """What goes to the engine. prompts: only where LOG_PROMPTS is on."""
        self._prompts, self._sampling = prompts, sampling

    def prompt_taken(self) -> None:
        """By the engine worker."""
        self._prompt_taken_at = time.monotonic()

    def left_engine(self, *, response_id: str | None = None, waited_s: float | None = None) -> None:
        """With an answer or without. waited_s: for its place in the batch."""
        self._left_engine_at = time.monotonic()
        self._response_id, self._waited_s = response_id, waited_s

    def end(self, status: int) -> None:
        """Its answer has been sent, or nobody reads it any more. status: of HTTP."""
        self._engine_span()
        span, facts = self._span, self._facts
        model = facts.model
        span.update_name(self._operation if model is None else f"{self._operation} {model}")
        span.set_attributes(known(self._told() | {names.HTTP_STATUS: status}))
        if self._sampling is not None:
            span.set_attributes(known(_of_sampling(self._sampling)))
        if contents := trace_contents.messages(self._prompts):
            span.set_attribute(names.INPUT_MESSAGES, contents)
        if facts.error is not None:
            span.set_attribute(names.ERROR_TYPE, facts.error)
        # By the conventions a server's span has not failed where the client is at fault.
        if status >= 500 or (status < 400 and facts.error not in (None, CLIENT_GONE)):
            span.set_status(Status(StatusCode.ERROR, facts.message))
        span.end()

    # --- the spans ------------------------------------------------------------------------------

    def _unix_ns(self, monotonic_s: float) -> int:
        return int(monotonic_s * 1e9) + self._calendar_ns

    def _told(self) -> dict[str, AttributeValue | None]:
        facts = self._facts
        reasons = facts.finish_reason
        first_at = facts.timing.first_at
        return {
            names.REQUEST_ID: facts.request_id,
            names.REQUEST_MODEL: facts.model,
            names.REQUEST_STREAM: facts.stream or None,
            names.RESPONSE_MODEL: facts.served,
            names.RESPONSE_ID: self._response_id,
            names.RESPONSE_FINISH_REASONS: None if reasons is None else reasons.split(","),
            names.RESPONSE_FIRST: None if first_at is None else first_at - facts.began,
            names.INPUT_TOKENS: facts.prompt_tokens,
            names.OUTPUT_TOKENS: facts.completion_tokens,
            names.CACHED_TOKENS: facts.cached_tokens,
            names.KEY_ID: facts.key,
            names.REPLICA: facts.replica,
            names.RETRIED: facts.retried or None,
        }

    def _engine_span(self) -> None:
        """From the times that are known now. Of a request that was tried again, the last try."""
        facts, timing = self._facts, self._facts.timing
        granted_at, left_at = timing.granted_at, self._left_engine_at
        if granted_at is None or left_at is None or left_at < granted_at:
            return
        taken_at, first_at, last_at = self._prompt_taken_at, timing.first_at, timing.last_at
        in_batch_at = None
        if taken_at is not None and self._waited_s is not None:
            in_batch_at = taken_at + self._waited_s
            if first_at is not None:  # it may have been late to hear of the prompt
                in_batch_at = min(in_batch_at, first_at)
        model = facts.served or facts.model
        span = self._traces.begin(
            f"{names.ENGINE} {model}",
            below(self._span),
            {
                names.OPERATION: self._operation,
                names.REQUEST_MODEL: model,
                names.REQUEST_ID: facts.request_id,
                names.REPLICA: facts.replica,
                names.INPUT_TOKENS: facts.prompt_tokens,
                names.OUTPUT_TOKENS: facts.completion_tokens,
                names.CACHED_TOKENS: facts.cached_tokens,
                names.LATENCY_QUEUE: self._waited_s,
                names.LATENCY_PREFILL: _between(in_batch_at or taken_at, first_at),
                names.LATENCY_DECODE: _between(first_at, last_at),
            },
            start_ns=self._unix_ns(granted_at),
        )
        for name, at in (
            (names.PROMPT_TAKEN, taken_at),
            (names.PREFILL_BEGAN, in_batch_at),
            (names.FIRST_TOKEN, first_at),
            (names.LAST_TOKEN, last_at),
        ):
            if at is not None:
                span.add_event(name, timestamp=self._unix_ns(at))
        _end_engine(span, facts, self._unix_ns(left_at))


def _end_engine(span: Span, facts: Record, end_ns: int) -> None:
    if facts.error not in (None, CLIENT_GONE):
        fail(span, facts.error or "", facts.message)
    span.end(end_ns)


def _between(earlier: float | None, later: float | None) -> float | None:
    return None if earlier is None or later is None else max(0.0, later - earlier)


def _of_http(request: Request) -> dict[str, AttributeValue | None]:
    host, _, port = request.host.rpartition(":")
    if not port.isdecimal() or host.endswith(":"):  # an address of IPv6 alone, or no port
        host, port = request.host, ""
    rule = request.url_rule
    # Never the query: `?api_key=` may be in it.
    return {
        names.HTTP_METHOD: request.method,
        names.HTTP_ROUTE: None if rule is None else rule.rule,
        names.URL_PATH: request.path,
        names.URL_SCHEME: request.scheme,
        names.SERVER_ADDRESS: host or None,
        names.SERVER_PORT: int(port) if port else None,
        names.CLIENT_ADDRESS: request.remote_addr,
        names.USER_AGENT: request.headers.get("User-Agent"),
    }


def _of_sampling(sampling: SamplingParams) -> Mapping[str, AttributeValue | None]:
    return {
        names.REQUEST_MAX_TOKENS: sampling.max_tokens,
        names.REQUEST_TEMPERATURE: sampling.temperature,
        names.REQUEST_TOP_P: sampling.top_p,
        names.REQUEST_TOP_K: sampling.top_k or None,
        names.REQUEST_SEED: sampling.seed,
        names.REQUEST_FREQUENCY_PENALTY: sampling.frequency_penalty or None,
        names.REQUEST_PRESENCE_PENALTY: sampling.presence_penalty or None,
        names.REQUEST_CHOICES: sampling.n if sampling.n != 1 else None,
    }
