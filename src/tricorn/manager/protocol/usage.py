"""What gateways report of the requests that they have answered."""

from __future__ import annotations

import msgspec


class EndedRequest(msgspec.Struct, frozen=True, array_like=True):
    """A request to a model that has been answered. Seconds are None where it did not get so far,
    and so are counts that nobody took."""

    time: float
    """Of its end, Unix seconds."""
    request_id: str
    route: str
    """As it is registered: `/v1/chat/completions`."""
    status: int
    seconds: float
    """From its arrival to the end of its answer."""
    key: str = ""
    """The id of the API key that it came with; empty: none."""
    model: str = ""
    """What it asked for, or what it got, where `served`."""
    served: bool = False
    """It had a lease."""
    replica: str = ""
    stream: bool = False
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int | None = None
    """Of the prompt, from the prefix cache."""
    queue_s: float | None = None
    """Until it got its lease: also while the model was loaded."""
    prefill_s: float | None = None
    """From then on until the first token: also what it waited in the engine."""
    ttft_s: float | None = None
    """From its arrival to the first token."""
    decode_s: float | None = None
    """From the first token to the last one."""
    gaps: list[int] = []
    """Between tokens of its first sequence, counted by `metrics.buckets.GAPS`, those beyond the
    last one too; empty: there were none."""
    gaps_s: float = 0.0
    """All of them together."""
    finish_reason: str | None = None
    error: str | None = None
    """The code of what it was refused with, or failed by."""
    retried: bool = False
    prompt: str | None = None
    """Only where LOG_PROMPTS is on."""
    trace_id: str | None = None
    """Where there are traces."""


class HttpAnswers(msgspec.Struct, frozen=True, array_like=True):
    """How many answers of one kind were given, on any route."""

    method: str
    route: str
    status: int
    count: int


class Usage(msgspec.Struct, frozen=True, tag="usage"):
    """A gateway's count of the requests that have ended since it last said so."""

    requests: int
    failed: int
    """Of them, with a status of 500 or above."""
    seconds: float
    """That they took, together."""
    prompt_tokens: int
    completion_tokens: int
    ended: list[EndedRequest] = []
    """One by one."""
    answers: list[HttpAnswers] = []
    lines: list[bytes] = []
    """What the gateway has logged beside: JSON, one object each."""

    def counts(self) -> Usage:
        """The sums alone."""
        return msgspec.structs.replace(self, ended=[], answers=[], lines=[])

    def plus(self, other: Usage) -> Usage:
        """Both together."""
        names = self.__struct_fields__
        return Usage(*(getattr(self, name) + getattr(other, name) for name in names))
