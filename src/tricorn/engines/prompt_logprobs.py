"""How likely a prompt's own tokens are: gathered while the prompt is computed. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from tricorn.engines.request import GenerateRequest, TokenLogprob

LOGITS_BYTES = 32 << 20
"""What the logits of one step's prompt tokens may take. llama.cpp keeps room for the most there
ever were, and MLX makes several arrays of that size of them."""


def rows_at_once(vocab_size: int) -> int:
    """Prompt tokens in a step whose logits are wanted."""
    return max(16, LOGITS_BYTES // (4 * vocab_size))


@dataclass(eq=False)
class PromptLogprobs:
    """Of one request's prompt, as far as it is computed; its first sequence computes them.

    The logits of a token say how likely the next one was. So the prompt is computed anew, whatever
    is cached of it: of a cached prefix only the keys and values are known.
    """

    alternatives: int
    entries: list[TokenLogprob] = field(default_factory=list)
    """Of the prompt's tokens from the second one on."""
    followers: list[Any] = field(default_factory=list)
    """The request's other sequences: they begin when these are told, and share the prompt."""

    def take(
        self, prompt: list[int], computed: int, score: Callable[[int, int], TokenLogprob]
    ) -> None:
        """The logits of the prompt's tokens up to `computed` are there, from where they were last.

        score: from a position and the token that follows there.
        """
        for position in range(len(self.entries), min(computed, len(prompt) - 1)):
            self.entries.append(score(position, prompt[position + 1]))


class Sequence(Protocol):
    """One of a request's answers."""

    prompt_logprobs: PromptLogprobs | None


S = TypeVar("S", bound=Sequence)


def to_begin(request: GenerateRequest, sequences: list[S]) -> list[S]:
    """Those of a request's sequences that may begin at once: where its prompt's log probabilities
    are wanted the first one, since it tells them with the request's first delta."""
    if request.prompt_logprobs is None:
        return sequences
    first, *others = sequences
    first.prompt_logprobs = PromptLogprobs(request.prompt_logprobs, followers=others)
    return [first]


def tell(sequence: Sequence, begin: Callable[[Any], None]) -> list[TokenLogprob] | None:
    """What goes with a sequence's first delta; then the request's other sequences begin."""
    known = sequence.prompt_logprobs
    if known is None:
        return None
    for follower in known.followers:
        begin(follower)
    return known.entries
