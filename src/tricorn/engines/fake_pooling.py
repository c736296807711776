"""The engine without a model, making vectors and scores; see `fake` for its knobs."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence

from tricorn.engines.pooling import PoolingQueue, Vectors
from tricorn.engines.pooling_core import PoolingCore
from tricorn.engines.spec import EngineCapabilities, LoadedModel, ModelSpec
from tricorn.engines.stepped import argument

DIMENSIONS = 8
BETWEEN = 256
"""The token between the texts of a pair."""


class FakePoolingCore(PoolingCore):
    def open(self, spec: ModelSpec) -> LoadedModel:
        args = spec.options.engine_args
        ranks = argument(args, "pooling", str, "embed") == "score"
        self._delay_s = argument(args, "token_delay_s", float, 0.0)
        self._clock = threading.Event()
        context = spec.options.context_length or 4096
        slots = spec.options.max_num_seqs or 16
        compute = self._scores if ranks else self._vectors
        self.pooling = PoolingQueue(compute, max_prompts=slots, max_tokens=context)
        return LoadedModel(
            context_length=context,
            vocab_size=257,
            max_num_seqs=slots,
            capabilities=EngineCapabilities(generate=False, embed=not ranks, score=ranks),
            details={"engine": "fake"},
            dimensions=None if ranks else DIMENSIONS,
            shorter_dimensions=() if argument(args, "matryoshka", bool, False) else None,
        )

    def _vectors(self, prompts: list[list[int]]) -> Vectors:
        self._clock.wait(self._delay_s)
        return [_vector(prompt) for prompt in prompts]

    def _scores(self, prompts: list[list[int]]) -> Vectors:
        """The share of the bytes of both texts that they have in common."""
        self._clock.wait(self._delay_s)
        scores: Vectors = []
        for prompt in prompts:
            at = prompt.index(BETWEEN)
            query, document = set(prompt[:at]), set(prompt[at + 1 :])
            scores.append([len(query & document) / len(query | document)])
        return scores

    def pair(self, query: list[int], document: list[int]) -> list[int]:
        return [*query, BETWEEN, *document]

    def tokenize(self, text: str, *, add_special: bool, parse_special: bool) -> list[int]:
        return list(text.encode())

    def detokenize(self, token_ids: Sequence[int]) -> bytes:
        return bytes(token for token in token_ids if token < BETWEEN)

    def close(self) -> None:
        self._clock.set()


def _vector(prompt: list[int]) -> list[float]:
    """How often each remainder of a byte by 8 occurs, as a direction."""
    counts = [0.0] * DIMENSIONS
    for token in prompt:
        counts[token % DIMENSIONS] += 1
    length = math.sqrt(sum(count * count for count in counts))
    return [count / length for count in counts]
