"""Vectors and scores: from a gateway's texts to what an engine takes, and back, packed."""

from __future__ import annotations

import asyncio
import math
import struct
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import Executor
from operator import mul

from tricorn.engines.base import InferenceEngine
from tricorn.engines.request import Scores
from tricorn.engines.spec import LoadedModel
from tricorn.errors import ContextLengthExceeded, InvalidRequest
from tricorn.worker.prepare import Preparer
from tricorn.worker.protocol import Embed, Score, Scored, TextPrompt, TokenPrompt, Vectors

SLICE = 64
"""Prompts that one request has in the engine at a time, so that a large one leaves the others
their turn. Enough to fill a batch."""

PAIR_TOKENS = 4
"""Special tokens that a cross-encoder may need around query and document."""


class Pooler:
    """preparing: where tokenising and arithmetic run, so that they hold up no stream."""

    def __init__(
        self,
        engine: InferenceEngine,
        model: LoadedModel,
        preparer: Preparer,
        preparing: Executor,
    ) -> None:
        self._engine = engine
        self._model = model
        self._preparer = preparer
        self._preparing = preparing

    async def embed(self, op: Embed) -> AsyncIterator[Vectors]:
        """The vectors in the prompts' order. RequestError names the input that it cannot take."""
        loop = asyncio.get_running_loop()
        prompts = await loop.run_in_executor(self._preparing, self._inputs, op)
        for start in range(0, len(prompts), SLICE):
            made = await self._engine.embed(prompts[start : start + SLICE])
            packed = await loop.run_in_executor(
                self._preparing, _packed, made.vectors, op.dimensions
            )
            yield Vectors(op.id, packed, made.prompt_tokens)

    async def score(self, op: Score) -> Scored:
        """By the model itself where it is a cross-encoder, otherwise the cosine of two vectors."""
        loop = asyncio.get_running_loop()
        cross = self._model.capabilities.score
        queries, documents = await loop.run_in_executor(self._preparing, self._texts, op, cross)
        if not cross:
            return await self._cosines(op, queries, documents)
        scores: list[float] = []
        tokens = 0
        for start in range(0, len(documents), SLICE):
            part = slice(start, start + SLICE)
            for made in await self._slice_scores(queries, documents, part):
                scores += made.scores
                tokens += made.prompt_tokens
        return Scored(op.id, scores, tokens)

    async def _slice_scores(
        self, queries: list[list[int]], documents: list[list[int]], part: slice
    ) -> list[Scores]:
        if len(queries) == 1:
            return [await self._engine.score(queries[0], documents[part])]
        pairs = zip(queries[part], documents[part], strict=True)
        return await asyncio.gather(*(self._engine.score(query, [text]) for query, text in pairs))

    async def _cosines(
        self, op: Score, queries: list[list[int]], documents: list[list[int]]
    ) -> Scored:
        vectors: list[list[float]] = []
        tokens = 0
        texts = queries + documents
        for start in range(0, len(texts), SLICE):
            made = await self._engine.embed(texts[start : start + SLICE])
            vectors += made.vectors
            tokens += made.prompt_tokens
        loop = asyncio.get_running_loop()
        scores = await loop.run_in_executor(
            self._preparing, _products, vectors[: len(queries)], vectors[len(queries) :]
        )
        return Scored(op.id, scores, tokens)

    # --- tokens --------------------------------------------------------------------------------

    def _inputs(self, op: Embed) -> list[list[int]]:
        names = _names("input", len(op.prompts))
        return [self._input(*pair) for pair in zip(op.prompts, names, strict=True)]

    def _input(self, prompt: TextPrompt | TokenPrompt, name: str) -> list[int]:
        if isinstance(prompt, TokenPrompt):
            ids = self._known(prompt.token_ids, name)
        else:
            ids = self._engine.tokenize(prompt.text, add_special=True, parse_special=False)
        return self._fitting(ids, name)

    def _known(self, token_ids: list[int], name: str) -> list[int]:
        try:
            return self._preparer.known(token_ids, name)
        except InvalidRequest as error:
            # LangChain counts with OpenAI's tokenizer and sends its ids, whatever the model.
            raise InvalidRequest(
                f"{error.message}: another tokenizer's ids? Send text instead (LangChain: "
                "check_embedding_ctx_length=False).",
                param=error.param,
            ) from error

    def _texts(self, op: Score, cross: bool) -> tuple[list[list[int]], list[list[int]]]:
        query_names = _names(op.params[0], len(op.queries))
        document_names = _names(op.params[1], len(op.documents))
        # A cross-encoder puts the special tokens around the pair.
        queries, documents = (
            [
                self._fitting(
                    self._engine.tokenize(text, add_special=not cross, parse_special=False), name
                )
                for text, name in zip(texts, names, strict=True)
            ]
            for texts, names in ((op.queries, query_names), (op.documents, document_names))
        )
        if cross:
            several = len(queries) > 1
            for at, (ids, name) in enumerate(zip(documents, document_names, strict=True)):
                query = queries[at if several else 0]
                self._check_length(len(query) + len(ids) + PAIR_TOKENS, f"{name} with its query")
        return queries, documents

    def _fitting(self, ids: list[int], name: str) -> list[int]:
        if not ids:
            raise InvalidRequest(f"'{name}' has no tokens.", param=name)
        self._check_length(len(ids), name)
        return ids

    def _check_length(self, tokens: int, name: str) -> None:
        limit = self._model.context_length
        if tokens > limit:
            raise ContextLengthExceeded(
                f"This model's maximum context length is {limit} tokens, and {name} has {tokens}. "
                "Please shorten it.",
                param=name.split(" ")[0],
            )


def _names(field: str, count: int) -> list[str]:
    """What to call each text in an error: `input`, or `input[3]` where there are several."""
    return [field] if count == 1 else [f"{field}[{position}]" for position in range(count)]


# --- arithmetic ---------------------------------------------------------------------------------


def _packed(vectors: Sequence[Sequence[float]], dimensions: int | None) -> list[bytes]:
    """dimensions: keep that many numbers of each, and give it length 1 again."""
    return [pack(vector if dimensions is None else _cut(vector, dimensions)) for vector in vectors]


def pack(vector: Sequence[float]) -> bytes:
    """float32, little-endian."""
    return struct.pack(f"<{len(vector)}f", *vector)


def _cut(vector: Sequence[float], dimensions: int) -> list[float]:
    kept = vector[:dimensions]
    length = math.sqrt(sum(map(mul, kept, kept)))
    return [number / length for number in kept] if length else list(kept)


def _products(queries: list[list[float]], documents: list[list[float]]) -> list[float]:
    """Of vectors of length 1, which makes them cosines."""
    if len(queries) == 1:
        queries = queries * len(documents)
    return [sum(map(mul, *pair)) for pair in zip(queries, documents, strict=True)]
