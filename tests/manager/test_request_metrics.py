"""Tests of `tricorn.manager.figures.request_metrics` and of the line of `inference.log`."""

from __future__ import annotations

import json
from typing import Any

from tricorn.manager.figures import inference_log
from tricorn.manager.figures.request_metrics import RequestMetrics
from tricorn.manager.protocol.usage import EndedRequest, HttpAnswers, Usage
from tricorn.metrics.buckets import GAPS
from tricorn.metrics.exposition import text

ROUTE = "/v1/chat/completions"


def ended(**given: Any) -> EndedRequest:
    facts = {"time": 0.0, "request_id": "r", "route": ROUTE, "status": 200, "seconds": 2.0}
    return EndedRequest(**facts | given)


def served(**given: Any) -> EndedRequest:
    gaps = [0] * (len(GAPS) + 1)
    gaps[2] = 10
    facts = {
        "model": "m",
        "served": True,
        "replica": "replica-1",
        "key": "key-1",
        "prompt_tokens": 20,
        "cached_tokens": 5,
        "completion_tokens": 11,
        "queue_s": 0.25,
        "prefill_s": 0.5,
        "ttft_s": 0.75,
        "decode_s": 1.0,
        "gaps": gaps,
        "gaps_s": 0.05,
        "finish_reason": "length",
    }
    return ended(**facts | given)


def lines_of(*requests: EndedRequest, **given: Any) -> list[str]:
    metrics = RequestMetrics(lambda name: ("m", "fake") if name in ("alias", "m") else ("", ""))
    metrics.add(Usage(0, 0, 0.0, 0, 0, ended=list(requests), **given))
    return [line for line in text(metrics.families()).splitlines() if not line.startswith("#")]


def test_a_request_that_was_answered() -> None:
    """Counts, tokens, times."""
    lines = lines_of(served())
    for line in (
        f'tricorn_requests_total{{route="{ROUTE}",model_name="m",engine="fake",status="200"}} 1',
        'tricorn_request_success_total{model_name="m",engine="fake",finished_reason="length"} 1',
        'tricorn_prompt_tokens_total{model_name="m",engine="fake"} 20',
        'tricorn_prompt_tokens_cached_total{model_name="m",engine="fake"} 5',
        'tricorn_generation_tokens_total{model_name="m",engine="fake"} 11',
        'tricorn_time_to_first_token_seconds_bucket{model_name="m",engine="fake",le="0.75"} 1',
        'tricorn_inter_token_latency_seconds_count{model_name="m",engine="fake"} 10',
        'tricorn_inter_token_latency_seconds_sum{model_name="m",engine="fake"} 0.05',
        'tricorn_request_time_per_output_token_seconds_sum{model_name="m",engine="fake"} 0.1',
        'tricorn_e2e_request_latency_seconds_sum{model_name="m",engine="fake"} 2',
        'tricorn_request_queue_time_seconds_sum{model_name="m",engine="fake"} 0.25',
        'tricorn_request_prefill_time_seconds_sum{model_name="m",engine="fake"} 0.5',
        'tricorn_request_decode_time_seconds_sum{model_name="m",engine="fake"} 1',
    ):
        assert line in lines
    assert not any("key-1" in line for line in lines)


def test_gateways_are_summed() -> None:
    """Of several, and of several reports."""
    lines = lines_of(served(), served(), served(retried=True))
    assert 'tricorn_generation_tokens_total{model_name="m",engine="fake"} 33' in lines
    assert 'tricorn_time_to_first_token_seconds_count{model_name="m",engine="fake"} 3' in lines
    assert 'tricorn_request_retries_total{model_name="m",engine="fake"} 1' in lines


def test_requests_without_a_replica() -> None:
    """Refusals by reason, not the caller's mistakes; names that nobody knows make no labels."""
    lines = lines_of(
        ended(model="alias", status=503, error="overloaded"),
        ended(model="invented", status=404, error="model_not_found"),
    )
    assert (
        'tricorn_admission_rejections_total{model_name="m",engine="fake",reason="overloaded"} 1'
        in lines
    )
    assert (
        f'tricorn_requests_total{{route="{ROUTE}",model_name="",engine="",status="404"}} 1' in lines
    )
    assert not any("invented" in line or "model_not_found" in line for line in lines)
    assert not any("latency" in line for line in lines)


def test_a_stream_that_broke() -> None:
    """Its status was well; it is told apart nevertheless."""
    lines = lines_of(served(error="client_gone", finish_reason=None))
    assert (
        'tricorn_request_success_total{model_name="m",engine="fake",finished_reason="abort"} 1'
        in lines
    )


def test_all_routes_are_counted() -> None:
    lines = lines_of(answers=[HttpAnswers("GET", "/health", 200, 7)])
    assert lines == ['tricorn_http_requests_total{method="GET",route="/health",status="200"} 7']


def test_a_line_of_the_log() -> None:
    """What is known of it, as JSON; speed is that of the tokens after the first."""
    line = json.loads(inference_log.line(served(time=1767225600.5)))
    assert line == {
        "timestamp": "2026-01-01T00:00:00.500Z",
        "level": "info",
        "event": "request",
        "request_id": "r",
        "key": "key-1",
        "route": ROUTE,
        "model": "m",
        "replica": "replica-1",
        "status": 200,
        "stream": False,
        "duration_s": 2.0,
        "queue_s": 0.25,
        "prefill_s": 0.5,
        "ttft_s": 0.75,
        "decode_s": 1.0,
        "prompt_tokens": 20,
        "cached_tokens": 5,
        "completion_tokens": 11,
        "tokens_per_second": 10.0,
        "finish_reason": "length",
    }


def test_a_line_of_a_failure() -> None:
    """Is a warning; what a client chose stays within its quotes, on one line."""
    raw = inference_log.line(ended(model='x"\n{', status=400, error="invalid_request"))
    line = json.loads(raw)
    assert b"\n" not in raw
    assert (line["level"], line["model"], line["error"]) == ("warning", 'x"\n{', "invalid_request")
    assert "prompt" not in line
    assert "tokens_per_second" not in line
