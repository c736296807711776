"""What goes into the next step: pure bookkeeping, no llama.cpp.

    waiting ──admit──► running: prefill in chunks ──► decode, one token a step ──► end
       ▲                                                      │
       └───────────── preempted when the KV cache is full ◄───┘

One rule covers prefill and decode: a sequence has tokens that are not computed yet; a step computes
some of them, and where it reaches the last one it samples the next.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tricorn.chat.text import TextStream
from tricorn.engines.llamacpp.kv import KvCache, Slot
from tricorn.engines.llamacpp.pictures import Picture, alike, picture_at
from tricorn.engines.prefix import SHARING_WORTH, common_prefix
from tricorn.engines.prompt_logprobs import PromptLogprobs
from tricorn.engines.request import GenerateRequest
from tricorn.engines.waiting import WaitingLine, first_to_yield


@dataclass(eq=False)
class Sequence:
    """One of a request's n answers."""

    request: GenerateRequest
    index: int
    tokens: list[int]
    """Prompt, then what was generated."""
    sampler: Any = None
    """Made at first admission, by the engine."""
    matcher: Any = None
    """Of its constraint, where it has one; handed to the sampler."""
    slot: Slot | None = None
    generated: int = 0
    cached_tokens: int | None = None
    """Prompt tokens found in the prefix cache at first admission."""
    text: TextStream = field(default_factory=TextStream)
    prompt_logprobs: PromptLogprobs | None = None
    """Where they are wanted, and this is the request's first sequence."""
    pictures: tuple[Picture, ...] = ()
    """Of its prompt; `tokens` has placeholders where they are."""

    @property
    def prompt_length(self) -> int:
        return len(self.request.prompt_token_ids)

    @property
    def scores_prompt(self) -> bool:
        """The logits of prompt tokens are wanted that were not seen yet."""
        known = self.prompt_logprobs
        return known is not None and len(known.entries) < self.prompt_length - 1

    @property
    def shareable(self) -> list[int]:
        """Its tokens, up to the first one whose logits are still to be seen."""
        if self.prompt_logprobs is None or not self.scores_prompt:
            return self.tokens
        return self.tokens[: len(self.prompt_logprobs.entries) + 1]

    @property
    def computed(self) -> int:
        return len(self.slot.tokens) if self.slot else 0

    @property
    def pending(self) -> int:
        return len(self.tokens) - self.computed


@dataclass(frozen=True)
class Chunk:
    """Tokens of one sequence in one step."""

    sequence: Sequence
    slot: Slot
    start: int
    count: int

    @property
    def samples(self) -> bool:
        """Reaches the sequence's last token, so that its logits are wanted."""
        return self.start + self.count == len(self.sequence.tokens)

    @property
    def picture(self) -> Picture | None:
        """Where the chunk is a part of one: a chunk is all text, or all of one picture."""
        return picture_at(self.sequence.pictures, self.start)


class Scheduler:
    """Admission, chunking and preemption.

    max_running: sequences in the batch.
    max_tokens: tokens in one step.
    max_scored: prompt tokens in one step whose logits are wanted.
    prefill_budget: prompt tokens in a step in which other sequences decode; it bounds how long a
        running stream waits for its next token. Where more sequences wait for their first token
        than for their next, it grows with their ratio: a burst is read in large steps.
    """

    def __init__(
        self,
        kv: KvCache,
        *,
        max_running: int,
        max_tokens: int,
        max_scored: int,
        prefill_budget: int,
    ) -> None:
        self.kv = kv
        self.max_running = max_running
        self.max_tokens = max_tokens
        self.max_scored = max_scored
        self.prefill_budget = prefill_budget
        self.waiting: WaitingLine[Sequence] = WaitingLine()
        self.running: list[Sequence] = []
        self.prefix_queries = 0
        self.prefix_hits = 0
        self.preemptions = 0

    def add(self, sequence: Sequence) -> None:
        self.waiting.append(sequence)

    def abort(self, request_id: str) -> list[Sequence]:
        """Take a request's sequences out, wherever they are."""
        gone = [s for s in (*self.running, *self.waiting) if s.request.request_id == request_id]
        for sequence in gone:
            if sequence.slot is not None:
                self.end(sequence)
            else:
                self.waiting.remove(sequence)
        return gone

    def end(self, sequence: Sequence, *, keep: bool = True) -> None:
        """A running sequence is done; its slot becomes a cached prefix."""
        assert sequence.slot is not None
        self.running.remove(sequence)
        self.kv.close(sequence.slot, keep=keep)
        sequence.slot = None

    def plan(self) -> list[Chunk]:
        """The next step's chunks; there is room in the KV cache for all of them."""
        self._admit()
        if self.running:
            self.kv.park_idle()
        while True:
            chunks = self._chunks()
            if self.kv.make_room(sum(chunk.count for chunk in chunks)):
                return chunks
            self.preempt()

    def preempt(self) -> None:
        """Send a running sequence back to wait, where it stands before its equals; it is computed
        again later."""
        victim = first_to_yield(self.running)
        self.end(victim, keep=False)
        self.waiting.put_back([victim])
        self.preemptions += 1

    def _admit(self) -> None:
        held: list[Sequence] = []
        while self.waiting and len(self.running) < self.max_running:
            sequence = self.waiting.pop()
            source, length = self.kv.match(sequence.shareable)
            if self._about_to_be_computed(sequence) >= length + SHARING_WORTH:
                held.append(sequence)
                continue
            # One more cell than the prompt, for its first step after prefill; and what those before
            # it are still to compute is spoken for.
            needed = len(sequence.tokens) - length + 1 + sum(s.pending for s in self.running)
            if self.running and self.kv.available_cells(source, length) < needed:
                held.append(sequence)
                break
            slot = self.kv.open(source, length)
            if slot is None:
                held.append(sequence)
                break
            sequence.slot = slot
            if sequence.request.waited is not None:
                sequence.request.waited.over()
            if sequence.cached_tokens is None:
                sequence.cached_tokens = sequence.computed
                self.prefix_queries += len(sequence.tokens)
                self.prefix_hits += sequence.computed
            self.running.append(sequence)
        self.waiting.put_back(held)

    def _about_to_be_computed(self, sequence: Sequence) -> int:
        """Tokens of this prompt that sequences now in prefill will have computed soon.

        A burst of requests with one long system prompt thus computes it once: the first does, the
        others wait for it and share it.
        """
        wanted = sequence.shareable[:-1]
        return max(
            (common_prefix(other.tokens, wanted) for other in self.running if other.pending > 1),
            default=0,
        )

    def _chunks(self) -> list[Chunk]:
        decoding = [s for s in self.running if s.pending == 1]
        budget = self.max_tokens - len(decoding)
        if decoding:
            in_prefill = len(self.running) - len(decoding)
            budget = min(budget, self.prefill_budget * max(1, in_prefill // len(decoding)))
        scored = self.max_scored
        chunks = []
        for sequence in self.running:
            assert sequence.slot is not None
            count = 1 if sequence.pending == 1 else min(sequence.pending, budget)
            if sequence.scores_prompt:
                count = min(count, scored)
                scored -= count
            if count <= 0:
                continue
            if sequence.pictures:
                count = alike(sequence.pictures, sequence.computed, count)
            if sequence.pending > 1:
                budget -= count
            chunks.append(Chunk(sequence, sequence.slot, sequence.computed, count))
        return chunks
