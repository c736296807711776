"""How likely prompts' own tokens are: such prompts are computed here, before the batch generator
gets them, for it keeps only the logits of a prompt's last token."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mlx.core as mx

from tricorn.engines.mlx.model import Batches, Cache
from tricorn.engines.mlx.scheduler import Sequence
from tricorn.engines.prompt_logprobs import rows_at_once
from tricorn.engines.request import TokenLogprob


class PromptScorer:
    """One prompt after the other, some tokens a step.

    piece: a token's bytes, control tokens included.
    """

    def __init__(self, batches: Batches, piece: Callable[[int], bytes], *, vocab_size: int) -> None:
        self._batches = batches
        self._piece = piece
        self._rows = rows_at_once(vocab_size)
        self._waiting: list[tuple[Sequence, Cache]] = []

    def add(self, sequence: Sequence) -> None:
        assert sequence.prompt_logprobs is not None
        # One that was sent back to wait has lost its cache, and begins again.
        sequence.prompt_logprobs.entries.clear()
        self._waiting.append((sequence, self._batches.new_cache()))

    def forget(self, sequence: Sequence) -> None:
        """It was aborted or sent back to wait, if it is here at all."""
        self._waiting = [entry for entry in self._waiting if entry[0] is not sequence]

    def step(self, tokens: int) -> tuple[Sequence, Cache] | None:
        """Compute so many tokens of the first prompt, or as many as there is room for.

        The sequence when that was all of it but the last token, and the cache of these.
        """
        if not self._waiting:
            return None
        sequence, cache = self._waiting[0]
        known, prompt = sequence.prompt_logprobs, sequence.request.prompt_token_ids
        assert known is not None
        start = len(known.entries)
        end = min(start + min(tokens, self._rows), len(prompt) - 1)
        with mx.stream(self._batches.stream):
            logits = self._batches.all_logits(prompt[start:end], cache)
            # Here, so that nothing of this step is left to the next.
            mx.eval(logits, [layer.state for layer in cache])
            known.entries += _logprobs(
                logits, prompt[start + 1 : end + 1], known.alternatives, self._piece
            )
        if sequence.scores_prompt:
            return None
        return self._waiting.pop(0)


def _logprobs(
    logits: Any, tokens: list[int], alternatives: int, piece: Callable[[int], bytes]
) -> list[TokenLogprob]:
    """logits: [len(tokens), vocab_size], each row's of the token before."""
    logprobs = logits - mx.logsumexp(logits, axis=-1, keepdims=True)
    chosen = mx.take_along_axis(logprobs, mx.array(tokens)[:, None], axis=-1)
    ranks = (logprobs > chosen).sum(axis=-1) + 1
    tops: list[list[TokenLogprob]] = [[] for _ in tokens]
    if alternatives:
        count = min(alternatives, logprobs.shape[-1])
        best = mx.argpartition(-logprobs, count - 1, axis=-1)[:, :count]
        values = mx.take_along_axis(logprobs, best, axis=-1)
        order = mx.argsort(-values, axis=-1)
        best = mx.take_along_axis(best, order, axis=-1).tolist()
        values = mx.take_along_axis(values, order, axis=-1).tolist()
        tops = [
            [TokenLogprob(piece(i), v, i) for i, v in zip(ids, row, strict=True)]
            for ids, row in zip(best, values, strict=True)
        ]
    return [
        TokenLogprob(piece(token), value, token, top, rank)
        for token, value, rank, top in zip(
            tokens, chosen[:, 0].tolist(), ranks.tolist(), tops, strict=True
        )
    ]
