"""A line of `inference.log`, of a request that has ended."""

from __future__ import annotations

from tricorn import logs
from tricorn.manager.protocol.usage import EndedRequest

DIGITS = 4


def line(ended: EndedRequest) -> bytes:
    """What nobody knows of it is left out."""
    facts = {
        "timestamp": logs.timestamp(ended.time),
        "level": "warning" if ended.status >= 500 or ended.error is not None else "info",
        "event": "request",
        "request_id": ended.request_id,
        "trace_id": ended.trace_id,
        "key": ended.key or None,
        "route": ended.route,
        "model": ended.model,
        "replica": ended.replica or None,
        "status": ended.status,
        "stream": ended.stream,
        "duration_s": _rounded(ended.seconds),
        "queue_s": _rounded(ended.queue_s),
        "prefill_s": _rounded(ended.prefill_s),
        "ttft_s": _rounded(ended.ttft_s),
        "decode_s": _rounded(ended.decode_s),
        "prompt_tokens": ended.prompt_tokens,
        "cached_tokens": ended.cached_tokens,
        "completion_tokens": ended.completion_tokens,
        "tokens_per_second": tokens_per_second(ended),
        "finish_reason": ended.finish_reason,
        "retried": ended.retried or None,
        "error": ended.error,
        "prompt": ended.prompt,
    }
    return logs.encode({name: value for name, value in facts.items() if value is not None})


def tokens_per_second(ended: EndedRequest) -> float | None:
    """While it was generating: the tokens after the first, by the time that they took."""
    if not ended.decode_s or not ended.completion_tokens or ended.completion_tokens < 2:
        return None
    return round((ended.completion_tokens - 1) / ended.decode_s, 2)


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, DIGITS)
