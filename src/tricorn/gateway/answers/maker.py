"""Makes answers: feeds what a generation tells to the builder of its API family."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Generic, TypeVar

import msgspec

from tricorn.chat.response import Builder, Head, fingerprint, new_id
from tricorn.engines.request import TokenDelta
from tricorn.gateway.record import TRUNCATED_HEADER, Record
from tricorn.gateway.requests.fast_lane import Unsent
from tricorn.gateway.requests.generation import (
    Ended,
    Event,
    Generation,
    Grown,
    Leased,
    PromptTaken,
)

BuilderT = TypeVar("BuilderT", bound=Builder)


class Maker(Generic[BuilderT]):
    """Makes the builder when a lease tells which model answers, and feeds it."""

    def __init__(self, make: Callable[[Head], BuilderT], prefix: str, facts: Record) -> None:
        self._make = make
        self._prefix = prefix
        self.facts = facts
        self.builder: BuilderT | None = None

    def feed(self, event: Event) -> list[bytes]:
        if isinstance(event, Leased):
            self.facts.retried = event.retried
            # After a retry, what the lost engine gave is forgotten with the builder that has it.
            self.builder = self._make(
                Head(
                    id=new_id(self._prefix),
                    created=int(time.time()),
                    model=event.model_id,
                    fingerprint=fingerprint(event.model_id, event.model),
                )
            )
            return []
        builder = self.builder
        assert builder is not None, "engines speak only after the lease"
        match event:
            case PromptTaken(position, tokens, text, first, reading, truncated):
                builder.truncated = truncated
                if self.facts.trace is not None:
                    self.facts.trace.prompt_taken()
                if reading is not None:
                    builder.read_as(reading)
                return builder.started(position, tokens, text, first)
            case Grown(position, delta):
                return self.grow(position, delta)
            case Ended():
                return builder.end()
            case Unsent():
                raise AssertionError("only a stream in the fast lane has it, and writes it itself")

    def grow(self, position: int, delta: TokenDelta) -> list[bytes]:
        """What a delta of the engine adds."""
        self.facts.timing.token(first_sequence=position == 0 and delta.index == 0)
        assert self.builder is not None
        return self.builder.delta(position, delta)

    def headers(self) -> dict[str, str]:
        """What is known of the answer before its body is sent."""
        truncated = self.builder and self.builder.truncated
        if not truncated:
            return {}
        counts = msgspec.structs.asdict(truncated).items()
        return {TRUNCATED_HEADER: ", ".join(f"{name}={count}" for name, count in counts)}

    def note(self, generation: Generation) -> None:
        """Put the counts into the request's record, once the engine is done with it."""
        if self.facts.trace is not None:
            answer_id = None if self.builder is None else self.builder.head.id
            self.facts.trace.left_engine(response_id=answer_id, waited_s=generation.waited_s)
        if self.builder is None:
            return
        tally = self.builder.tally
        self.facts.prompt_tokens = tally.prompt_tokens
        self.facts.completion_tokens = tally.completion_tokens
        self.facts.cached_tokens = tally.cached_tokens
        if tally.finish_reasons:
            reasons = dict.fromkeys(tally.finish_reasons.values())
            self.facts.finish_reason = ",".join(reasons)
