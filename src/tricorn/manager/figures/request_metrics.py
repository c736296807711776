"""Counters and histograms of all requests that the gateways have answered.

Labels are of bounded number: routes as they are registered, models as the catalog has them, and no
keys. A request for a model that does not exist counts under the empty name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tricorn.manager.protocol.usage import EndedRequest, Usage
from tricorn.metrics import buckets
from tricorn.metrics.exposition import Family
from tricorn.metrics.series import Counter, Histogram

MODEL = ("model_name", "engine")
ABORTED = "abort"
"""The reason of a request whose client has left, or that failed on its way."""


class RequestMetrics:
    """label: the id of what a request for that name would get, and its engine; both empty where
    there is no such."""

    def __init__(self, label: Callable[[str], tuple[str, str]]) -> None:
        self._label = label
        self._answers = Counter(
            "http_requests_total", "Answers, on all routes.", "method", "route", "status"
        )
        self._requests = Counter("requests_total", "Requests to models.", "route", *MODEL, "status")
        self._success = Counter(
            "request_success_total", "Requests that were answered.", *MODEL, "finished_reason"
        )
        self._rejected = Counter(
            "admission_rejections_total", "Requests that got no replica.", *MODEL, "reason"
        )
        self._retried = Counter("request_retries_total", "Requests that were tried again.", *MODEL)
        self._prompt = Counter("prompt_tokens_total", "Prompt tokens.", *MODEL)
        self._cached = Counter(
            "prompt_tokens_cached_total", "Of them, those from the prefix cache.", *MODEL
        )
        self._generated = Counter("generation_tokens_total", "Generated tokens.", *MODEL)
        self._ttft = Histogram(
            "time_to_first_token_seconds", "Until the first token.", buckets.TTFT, *MODEL
        )
        self._gaps = Histogram(
            "inter_token_latency_seconds", "Between two tokens.", buckets.GAPS, *MODEL
        )
        self._per_token = Histogram(
            "request_time_per_output_token_seconds",
            "A request's mean time for a token after the first.",
            buckets.GAPS,
            *MODEL,
        )
        self._e2e = Histogram(
            "e2e_request_latency_seconds", "Whole requests.", buckets.REQUEST, *MODEL
        )
        self._queue = Histogram(
            "request_queue_time_seconds",
            "Until a replica took the request; with the model's load.",
            buckets.REQUEST,
            *MODEL,
        )
        self._prefill = Histogram(
            "request_prefill_time_seconds",
            "From the replica to the first token.",
            buckets.REQUEST,
            *MODEL,
        )
        self._decode = Histogram(
            "request_decode_time_seconds", "First token to last.", buckets.REQUEST, *MODEL
        )

    def add(self, usage: Usage) -> None:
        for answer in usage.answers:
            self._answers.add(answer.count, answer.method, answer.route, str(answer.status))
        for ended in usage.ended:
            self._add(ended)

    def families(self) -> Iterator[Family]:
        for series in vars(self).values():
            if isinstance(series, Counter | Histogram):
                yield series.family()

    def _add(self, ended: EndedRequest) -> None:
        name, engine = self._label(ended.model)
        model = (ended.model if ended.served else name, engine)
        self._requests.add(1, ended.route, *model, str(ended.status))
        if not ended.served and ended.error is not None and _is_refusal(ended.status):
            self._rejected.add(1, *model, ended.error)
        if ended.served and ended.status < 400:
            reason = ended.finish_reason or "stop"
            self._success.add(1, *model, ABORTED if ended.error is not None else reason)
        if ended.retried:
            self._retried.add(1, *model)
        for counter, count in (
            (self._prompt, ended.prompt_tokens),
            (self._cached, ended.cached_tokens),
            (self._generated, ended.completion_tokens),
        ):
            if count is not None:
                counter.add(count, *model)
        if not ended.served:
            return
        for histogram, seconds in (
            (self._ttft, ended.ttft_s),
            (self._e2e, ended.seconds),
            (self._queue, ended.queue_s),
            (self._prefill, ended.prefill_s),
            (self._decode, ended.decode_s),
        ):
            if seconds is not None:
                histogram.observe(seconds, *model)
        self._add_speeds(ended, model)

    def _add_speeds(self, ended: EndedRequest, model: tuple[str, str]) -> None:
        if ended.gaps:
            self._gaps.merge(ended.gaps, ended.gaps_s, *model)
        if ended.decode_s is not None and (ended.completion_tokens or 0) > 1:
            assert ended.completion_tokens is not None
            self._per_token.observe(ended.decode_s / (ended.completion_tokens - 1), *model)


def _is_refusal(status: int) -> bool:
    """Rather than the caller's own mistake."""
    return status == 429 or status >= 500
