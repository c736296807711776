"""Tests of `tricorn.tracing.export`."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import pytest
import structlog
from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from tests.tracing.collector import collecting

from tricorn.errors import StartupError
from tricorn.tracing import export, headers
from tricorn.tracing.export import Outage, Traces


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES", "OTEL_TRACES_SAMPLER"):
        monkeypatch.delenv(name, raising=False)


def made() -> tuple[Traces, InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    return Traces("gateway", SimpleSpanProcessor(exporter)), exporter


def test_the_resource_says_whose_spans_they_are() -> None:
    traces, exporter = made()
    traces.begin("a", Context(), {}).end()
    resource = exporter.get_finished_spans()[0].resource.attributes
    assert resource["service.name"] == "tricorn"
    assert resource["tricorn.part"] == "gateway"


def test_the_environment_goes_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "mine")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment=lab,service.version=9")
    traces, exporter = made()
    traces.begin("a", Context(), {}).end()
    resource = exporter.get_finished_spans()[0].resource.attributes
    assert resource["service.name"] == "mine"
    assert resource["deployment.environment"] == "lab"
    assert resource["service.version"] == "9"


def test_the_sampler_is_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not sampled has a trace all the same, by which log lines are joined."""
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    traces, exporter = made()
    span = traces.begin("a", Context(), {"unknown": None})
    assert len(headers.trace_id(export.headers(span)) or "") == 32
    span.end()
    assert exporter.get_finished_spans() == ()


def test_a_caller_that_makes_no_sense_begins_nothing() -> None:
    """A new trace begins instead."""
    traces, exporter = made()
    parent = export.received({"traceparent": "00-nonsense-01", "tracestate": None})
    traces.begin("a", parent, {}).end()
    assert exporter.get_finished_spans()[0].parent is None


def test_a_childs_context_goes_along_with_the_state_of_its_caller() -> None:
    traces, _ = made()
    given = {"traceparent": f"00-{'1' * 32}-{'2' * 16}-01", "tracestate": "vendor=x"}
    span = traces.begin("a", export.received(dict(given)), {})
    sent = export.headers(span)
    assert headers.trace_id(sent) == "1" * 32
    assert sent["tracestate"] == "vendor=x"


class Flaky(SpanExporter):
    def __init__(self, *results: SpanExportResult) -> None:
        self._results = list(results)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return self._results.pop(0)


def test_an_outage_is_told_of_once() -> None:
    """And its end, with what was lost."""
    lost, taken = SpanExportResult.FAILURE, SpanExportResult.SUCCESS
    traces, exporter = made()
    traces.begin("a", Context(), {}).end()
    spans = exporter.get_finished_spans()
    outage = Outage(Flaky(taken, lost, lost, taken, taken), "collector:4318")
    with structlog.testing.capture_logs() as lines:
        for _ in range(5):
            outage.export(spans)
    assert [line["log_level"] for line in lines] == ["warning", "info"]
    assert lines[0]["at"] == "collector:4318"
    assert lines[1]["spans_lost"] == 2


def test_complaints_go_to_our_log_once_and_without_what_may_be_secret() -> None:
    made()
    with structlog.testing.capture_logs() as lines:
        for _ in range(3):
            logging.getLogger("opentelemetry.sdk.test").warning("a header is wrong: %s", "hunter2")
        logging.getLogger("opentelemetry.exporter.test").error("not now")
    assert [line["said"] for line in lines] == ["a header is wrong: %s"]


def test_spans_reach_a_collector(monkeypatch: pytest.MonkeyPatch) -> None:
    """By OTLP over HTTP, with the headers that were set; what is left is sent at the end."""
    with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-team=lab")
        traces = Traces("manager")
        traces.begin("a", Context(), {"tricorn.replica": "r"}).end()
        traces.close()
    [span] = collector.spans
    assert (span.name, span.attributes) == ("a", {"tricorn.replica": "r"})
    assert collector.requests[0]["path"] == "/v1/traces"
    assert collector.requests[0]["x-team"] == "lab"


def test_a_variable_that_makes_no_sense(monkeypatch: pytest.MonkeyPatch) -> None:
    """Is an error of the start, in a sentence."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "0")
    with pytest.raises(StartupError, match="traces cannot be sent"):
        Traces("manager")


def test_the_end_of_a_process_waits_for_no_collector(monkeypatch: pytest.MonkeyPatch) -> None:
    """Longer than it may; and what cannot be sent is an error of nobody."""
    monkeypatch.setattr(export, "CLOSE_S", 0.1)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://user:pass@127.0.0.1:9")
    traces = Traces("manager")
    traces.begin("a", Context(), {}).end()
    traces.close()
    assert export._collector() == "127.0.0.1:9"
