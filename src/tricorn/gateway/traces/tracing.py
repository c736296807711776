"""One server span for each request to a model. Imported only where traces are wanted."""

from __future__ import annotations

from collections.abc import Callable

import structlog
from flask import Flask, Response, request
from opentelemetry.sdk.trace import SpanProcessor

from tricorn.gateway import record
from tricorn.gateway.services import Services
from tricorn.gateway.traces.request_trace import RequestTrace
from tricorn.tracing import names
from tricorn.tracing.export import Traces

OPERATIONS = {
    "chat.create": names.CHAT,
    "anthropic.create": names.CHAT,
    "ollama.chat": names.CHAT,
    "responses.create": names.CHAT,
    "completions.create": names.TEXT_COMPLETION,
    "ollama.generate": names.TEXT_COMPLETION,
    "embeddings.create": names.EMBEDDINGS,
    "ollama_embed.embed": names.EMBEDDINGS,
    "ollama_embed.embeddings": names.EMBEDDINGS,
    "ranking.rerank": names.RERANK,
    "ranking.score": names.SCORE,
}
"""By the route's endpoint: what a model is asked to do."""


class Tracing:
    """Of one application; its spans are sent by each process that serves it.

    make_processor: for tests; None: spans go where the environment says.
    """

    def __init__(self, make_processor: Callable[[], SpanProcessor] | None = None) -> None:
        self._make_processor = make_processor
        self._traces: Traces | None = None

    def start(self) -> None:
        """In the process that serves: what sends spans is a thread, and no fork takes it along."""
        made = None if self._make_processor is None else self._make_processor()
        self._traces = Traces("gateway", made)

    def close(self) -> None:
        """Send what is left; bounded."""
        if self._traces is not None:
            self._traces.close()

    def register(self, app: Flask, services: Services) -> None:
        """Trace the requests to models. After `record`, before what may refuse a request."""

        @app.before_request
        def begin() -> None:
            if request.method == "POST" and (operation := OPERATIONS.get(request.endpoint or "")):
                services.start()
                self._begin(operation)

        @app.after_request
        def finish(response: Response) -> Response:
            trace, status = record.current().trace, response.status_code
            if trace is not None:

                def close() -> None:
                    structlog.contextvars.unbind_contextvars("trace_id")
                    trace.end(status)

                # A stream ends long after this: the server closes its answer when it is sent.
                response.call_on_close(close)
            return response

    def _begin(self, operation: str) -> None:
        assert self._traces is not None, "begun with the process's services"
        facts = record.current()
        trace = RequestTrace(self._traces, operation, request, facts)
        facts.trace, facts.trace_id = trace, trace.id
        # In every line that is logged meanwhile, by whomever.
        structlog.contextvars.bind_contextvars(trace_id=trace.id)
