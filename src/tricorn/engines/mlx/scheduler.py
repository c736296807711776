"""Who is computed and who waits: pure bookkeeping, no mlx.

    waiting ──admit──► prefilling ──► decoding ──► end
       ▲                                 │
       └──── preempted when memory runs short

A batch's cache is as wide as its longest sequence, for every sequence; that is what is counted.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tricorn.chat.text import TextStream
from tricorn.engines.mlx.memory import CacheCost
from tricorn.engines.mlx.prefixes import Prefix, PrefixCache, usable_prefix
from tricorn.engines.prefix import SHARING_WORTH
from tricorn.engines.prompt_logprobs import PromptLogprobs
from tricorn.engines.request import GenerateRequest
from tricorn.engines.waiting import WaitingLine, first_to_yield

AHEAD = 64
"""Tokens of answer for which there must be room at admission."""


@dataclass(eq=False)
class Sequence:
    """One of a request's n answers."""

    request: GenerateRequest
    index: int
    tokens: list[int]
    """Prompt, then what was generated."""
    sampler: Any = None
    """Made at first admission, by the engine."""
    uid: int | None = None
    """Its number in the batch generator while it runs."""
    decoding: bool = False
    """Its prompt is computed."""
    generated: int = 0
    cached_tokens: int | None = None
    """Prompt tokens found in a kept cache at first admission."""
    text: TextStream = field(default_factory=TextStream)
    prompt_logprobs: PromptLogprobs | None = None
    """Where they are wanted, and this is the request's first sequence."""

    @property
    def scores_prompt(self) -> bool:
        """The logits of prompt tokens are wanted that were not seen yet."""
        known = self.prompt_logprobs
        return known is not None and len(known.entries) < len(self.request.prompt_token_ids) - 1

    @property
    def shareable(self) -> list[int]:
        """Tokens that a computed prefix may save: never the last one, for its logits."""
        return [] if self.scores_prompt else self.tokens[:-1]

    @property
    def reaches(self) -> int:
        """Tokens that it will hold soon."""
        ahead = AHEAD
        if self.request.sampling.max_tokens is not None:
            ahead = min(ahead, self.request.sampling.max_tokens - self.generated)
        return len(self.tokens) + max(1, ahead)


Source = Prefix | Sequence
"""What holds a computed prefix: a kept cache, or a sequence that is decoding."""


@dataclass(frozen=True)
class Admission:
    """A sequence that is to be computed, going on after `length` tokens that `source` has."""

    sequence: Sequence
    source: Source | None
    length: int


class Scheduler:
    """Admission and preemption.

    max_running: sequences in the batch.
    room: bytes for their caches.
    trimmable: a cache can be cut at any token, so that a decoding sequence can be copied from.
    """

    def __init__(
        self,
        prefixes: PrefixCache,
        cost: CacheCost,
        *,
        max_running: int,
        room: int,
        trimmable: bool,
    ) -> None:
        self.prefixes = prefixes
        self.max_running = max_running
        self.waiting: WaitingLine[Sequence] = WaitingLine()
        self.running: list[Sequence] = []
        self.prefix_queries = 0
        self.prefix_hits = 0
        self.preemptions = 0
        self._cost = cost
        self._room = room
        self._trimmable = trimmable

    @property
    def share_in_use(self) -> float:
        """0 to 1, of the room for caches."""
        return min(1.0, self._bytes(len(self.running), self._width()) / self._room)

    def add(self, sequence: Sequence) -> None:
        self.waiting.append(sequence)

    def admit(self) -> list[Admission]:
        """Take in who has room; a sequence that cannot come in holds up those behind it."""
        admitted: list[Admission] = []
        held: list[Sequence] = []
        while self.waiting and len(self.running) < self.max_running:
            sequence = self.waiting.pop()
            source, length = self._match(sequence.shareable)
            if self._about_to_be_computed(sequence) >= length + SHARING_WORTH:
                held.append(sequence)
                continue
            if not self._fits(sequence):
                held.append(sequence)
                break
            admitted.append(self._admit(sequence, source, length))
        self.waiting.put_back(held)
        return admitted

    def make_room(self) -> Sequence | None:
        """Where the next step would not fit, a sequence that was sent back to wait, before its
        equals; it is still in the batch generator."""
        if len(self.running) < 2:
            return None
        if self._bytes(len(self.running), self._width() + 1) <= self._room:
            return None
        victim = first_to_yield(self.running)
        self.running.remove(victim)
        self.waiting.put_back([victim])
        self.preemptions += 1
        return victim

    def end(self, sequence: Sequence) -> None:
        """It is done, or aborted; wherever it was."""
        if sequence in self.running:
            self.running.remove(sequence)
        else:
            self.waiting.remove(sequence)

    def of_request(self, request_id: str) -> list[Sequence]:
        return [s for s in (*self.running, *self.waiting) if s.request.request_id == request_id]

    def is_awaited(self, sequence: Sequence) -> bool:
        """Someone waits who begins with this sequence's prompt."""
        return any(self._shared(sequence, other) >= SHARING_WORTH for other in self.waiting)

    # --- counting ------------------------------------------------------------------------------

    def _admit(self, sequence: Sequence, source: Source | None, length: int) -> Admission:
        if isinstance(source, Prefix):
            self.prefixes.touch(source)
        if sequence.request.waited is not None:
            sequence.request.waited.over()
        if sequence.cached_tokens is None:
            sequence.cached_tokens = length
            self.prefix_queries += len(sequence.tokens)
            self.prefix_hits += length
        sequence.decoding = False
        self.running.append(sequence)
        return Admission(sequence, source, length)

    def _match(self, wanted: list[int]) -> tuple[Source | None, int]:
        kept, length = self.prefixes.match(wanted)
        best: Source | None = kept
        if self._trimmable:
            for other in self.running:
                if other.decoding:
                    common = usable_prefix(other.tokens, wanted, trimmable=True)
                    if common >= length + SHARING_WORTH:
                        best, length = other, common
        return best, length

    def _about_to_be_computed(self, sequence: Sequence) -> int:
        """Tokens of this prompt that sequences now in prefill will have computed soon.

        The answers of one request, or a burst of requests with one long system prompt, thus compute
        it once: the first does, the others wait for it and share it.
        """
        return max(
            (self._shared(other, sequence) for other in self.running if not other.decoding),
            default=0,
        )

    def _shared(self, first: Sequence, second: Sequence) -> int:
        return usable_prefix(first.tokens[:-1], second.shareable, trimmable=self._trimmable)

    def _fits(self, sequence: Sequence) -> bool:
        if not self.running:
            return True
        width = max(sequence.reaches, *(other.reaches for other in self.running))
        return self._bytes(len(self.running) + 1, width) <= self._room

    def _width(self) -> int:
        return max((len(sequence.tokens) for sequence in self.running), default=0)

    def _bytes(self, sequences: int, tokens: int) -> int:
        return sequences * self._cost.bytes_for(tokens)
