"""Spans, and their way to the collector: OpenTelemetry's SDK, as its variables set it up.

Nothing here waits for the collector: spans are queued (OTEL_BSP_MAX_QUEUE_SIZE, the oldest go
first) and sent by a thread, which has to begin in the process that uses it, after any fork.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

from tricorn import __version__, logs
from tricorn.errors import StartupError
from tricorn.tracing import names, wanted
from tricorn.tracing.headers import Headers

BATCH = 32
"""Spans that are sent at a time: while they are encoded, a gateway does nothing else."""
CLOSE_S = 2.0
"""What is left at the end of a process is sent within this time, or lost."""

Attributes = Mapping[str, AttributeValue | None]
"""Those that are None are left out."""

log = logs.get("tracing")

_propagator = TraceContextTextMapPropagator()


class Traces:
    """Of one process; made in it after any fork.

    part: which process it is. processor: None sends spans where the environment says; StartupError
    where it makes no sense.
    """

    def __init__(self, part: str, processor: SpanProcessor | None = None) -> None:
        _listen()
        try:
            # Its sampler and its limits are the environment's.
            self._provider = TracerProvider(resource=_resource(part), shutdown_on_exit=False)
            self._provider.add_span_processor(processor or _batches())
        except ValueError as error:
            raise StartupError(f"traces cannot be sent as OTEL_… variables say: {error}") from error
        self._tracer = self._provider.get_tracer(f"tricorn.{part}", __version__)

    def begin(
        self,
        name: str,
        parent: Context,
        attributes: Attributes,
        *,
        kind: SpanKind = SpanKind.INTERNAL,
        start_ns: int | None = None,
    ) -> Span:
        """A span, to be ended by whoever asked for it. start_ns: Unix time; None: now."""
        # Not as the current one: handlers of many requests share a thread.
        return self._tracer.start_span(
            name, parent, kind, attributes=known(attributes), start_time=start_ns
        )

    def close(self) -> None:
        """Send what is left; bounded."""
        thread = threading.Thread(target=self._provider.shutdown, daemon=True)
        thread.start()
        thread.join(CLOSE_S)


def known(attributes: Attributes) -> dict[str, AttributeValue]:
    """Without those that are None."""
    return {name: value for name, value in attributes.items() if value is not None}


def fail(span: Span, code: str, message: str | None = None) -> None:
    """What it stands for has failed. code: of the error; message: for people."""
    span.set_attribute(names.ERROR_TYPE, code)
    span.set_status(Status(StatusCode.ERROR, message))


def received(headers: Mapping[str, str | None]) -> Context:
    """What a caller's headers say; a new trace begins where that is nothing of use."""
    given = {name: value for name, value in headers.items() if value}
    return _propagator.extract(given, Context())


def below(span: Span) -> Context:
    """For its children in this process, …"""
    return set_span_in_context(span, Context())


def headers(span: Span) -> Headers:
    """… and in others."""
    sent: Headers = {}
    _propagator.inject(sent, below(span))
    return sent


class Outage(SpanExporter):
    """Says once that the collector takes no spans, and once that it does again."""

    def __init__(self, inner: SpanExporter, collector: str) -> None:
        self._inner = inner
        self._collector = collector
        self._lost = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._inner.export(spans)
        if result is SpanExportResult.SUCCESS:
            if self._lost:
                log.info("the collector takes traces again", spans_lost=self._lost)
            self._lost = 0
        else:
            if not self._lost:
                log.warning("the collector takes no traces; requests go on", at=self._collector)
            self._lost += len(spans)
        return result

    def shutdown(self) -> None:
        self._inner.shutdown()


def _batches() -> SpanProcessor:
    sized = any(os.environ.get(f"OTEL_BSP_MAX_{what}_SIZE") for what in ("QUEUE", "EXPORT_BATCH"))
    return BatchSpanProcessor(
        Outage(OTLPSpanExporter(), _collector()), max_export_batch_size=None if sized else BATCH
    )


def _collector() -> str:
    """Host and port: the rest of the address may hold a secret."""
    address = next(filter(None, map(os.environ.get, wanted.ENDPOINTS)), "")
    return urlsplit(address).netloc.rpartition("@")[2]


def _resource(part: str) -> Resource:
    """OTEL_RESOURCE_ATTRIBUTES and OTEL_SERVICE_NAME go before what is here."""
    told = dict(Resource.create().attributes)
    if str(told[names.SERVICE_NAME]).startswith("unknown_service"):
        del told[names.SERVICE_NAME]
    own: dict[str, AttributeValue] = {
        names.SERVICE_NAME: names.TRICORN,
        names.SERVICE_VERSION: __version__,
        names.PART: part,
        names.PROCESS_PID: os.getpid(),
    }
    return Resource(own | told)


class _Said(logging.Handler):
    """What the SDK complains of goes to our log: each complaint once, and without its arguments,
    which may be headers. Exports are told of by `Outage`."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._known: set[str] = set()

    def emit(self, said: logging.LogRecord) -> None:
        text = str(said.msg)
        if text not in self._known and not said.name.startswith("opentelemetry.exporter"):
            self._known.add(text)
            log.warning("OpenTelemetry complains", said=text)


def _listen() -> None:
    logger = logging.getLogger("opentelemetry")
    if not any(isinstance(handler, _Said) for handler in logger.handlers):
        logger.addHandler(_Said())
        logger.propagate = False
