"""Texts to vectors and scores, over the engine without a model."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tricorn.engines.fake import create
from tricorn.engines.spec import EngineOptions, ModelSpec
from tricorn.errors import ContextLengthExceeded, InvalidRequest
from tricorn.worker.pooling import SLICE, Pooler, pack
from tricorn.worker.prepare import Preparer
from tricorn.worker.protocol import Embed, Score, TextPrompt, TokenPrompt, Vectors

CONTEXT = 64


def run(scenario: Callable[[Pooler], Coroutine[Any, Any, None]], pooling: str = "embed") -> None:
    async def limited() -> None:
        async with asyncio.timeout(10):
            engine = create()
            options = EngineOptions(context_length=CONTEXT, engine_args={"pooling": pooling})
            model = await engine.load(ModelSpec("m", "", "fake", "fake", "", 0, 0, options))
            with ThreadPoolExecutor(1) as preparing:
                await scenario(Pooler(engine, model, Preparer(engine, model), preparing))
            await engine.unload()

    asyncio.run(limited())


async def embedded(pooler: Pooler, *prompts: str | list[int], **options: Any) -> list[Vectors]:
    made = [TextPrompt(p) if isinstance(p, str) else TokenPrompt(p) for p in prompts]
    return [part async for part in pooler.embed(Embed(1, "r", [*made], **options))]


def numbers(packed: bytes) -> list[float]:
    return list(struct.unpack(f"<{len(packed) // 4}f", packed))


def test_vectors_are_packed_in_order() -> None:
    """float32, little-endian; with the tokens that they took."""

    async def scenario(pooler: Pooler) -> None:
        (part,) = await embedded(pooler, "\x01", [2, 2])
        assert [numbers(vector) for vector in part.vectors] == [
            [0, 1, 0, 0, 0, 0, 0, 0],
            [0, 0, 1, 0, 0, 0, 0, 0],
        ]
        assert part.prompt_tokens == 3

    run(scenario)
    assert pack([1.0]) == b"\x00\x00\x80\x3f"


def test_a_large_request_comes_in_slices() -> None:
    """So that others get their turn between them; nothing is lost or swapped."""

    async def scenario(pooler: Pooler) -> None:
        prompts = [chr(ord("a") + number % 8) for number in range(2 * SLICE + 1)]
        parts = await embedded(pooler, *prompts)
        assert [len(part.vectors) for part in parts] == [SLICE, SLICE, 1]
        vectors = [vector for part in parts for vector in part.vectors]
        (alone,) = await embedded(pooler, *prompts[:8])
        assert vectors == [alone.vectors[number % 8] for number in range(2 * SLICE + 1)]

    run(scenario)


def test_cut_vectors_have_length_one_again() -> None:
    """The first numbers, in their proportions."""

    async def scenario(pooler: Pooler) -> None:
        (part,) = await embedded(pooler, [0, 0, 0, 1, 1, 1, 1, 7], dimensions=2)
        assert numbers(part.vectors[0]) == [pytest.approx(0.6), pytest.approx(0.8)]
        (nothing,) = await embedded(pooler, [7], dimensions=2)
        assert numbers(nothing.vectors[0]) == [0, 0]

    run(scenario)


@pytest.mark.parametrize(
    ("prompts", "error", "param"),
    [
        (["a", "x" * 65], ContextLengthExceeded, "input[1]"),
        (["x" * 65], ContextLengthExceeded, "input"),
        ([[5] * 65, "a"], ContextLengthExceeded, "input[0]"),
        ([[5], [5, 300]], InvalidRequest, "input[1]"),
    ],
)
def test_the_input_that_cannot_be_taken_is_named(
    prompts: list[Any], error: type[Exception], param: str
) -> None:
    """Its position where there are several; the limit and its length."""

    async def scenario(pooler: Pooler) -> None:
        with pytest.raises(error) as caught:
            await embedded(pooler, *prompts)
        assert caught.value.param == param  # type: ignore[attr-defined]
        if error is ContextLengthExceeded:
            assert "64" in str(caught.value)
            assert "65" in str(caught.value)

    run(scenario)


def test_another_tokenizers_ids_are_explained() -> None:
    """LangChain sends those of OpenAI's to everybody."""

    async def scenario(pooler: Pooler) -> None:
        with pytest.raises(InvalidRequest, match=r"input\[1\] is 100257.*LangChain"):
            await embedded(pooler, [5, 100257])

    run(scenario)


@pytest.mark.parametrize("pooling", ["embed", "score"])
def test_scores(pooling: str) -> None:
    """A reranker's own, or the cosine of two vectors; the best text is the same one."""

    async def scenario(pooler: Pooler) -> None:
        one = await pooler.score(Score(1, "r", ["ab"], ["ab", "cd", "bc"]))
        assert one.scores[0] == pytest.approx(1)
        assert one.scores[1] == 0
        assert 0 < one.scores[2] < 1
        assert one.prompt_tokens == (8 if pooling == "embed" else 15)
        each = await pooler.score(Score(1, "r", ["ab", "cd"], ["bc", "cd"]))
        assert each.scores == [pytest.approx(one.scores[2]), pytest.approx(1)]

    run(scenario, pooling)


@pytest.mark.parametrize("pooling", ["embed", "score"])
def test_many_documents_keep_their_order(pooling: str) -> None:
    """Beyond what goes into the engine at once."""

    async def scenario(pooler: Pooler) -> None:
        documents = ["a" if number % 3 else "b" for number in range(2 * SLICE + 5)]
        for queries in (["a"], ["a"] * len(documents)):
            made = await pooler.score(Score(1, "r", queries, documents))
            assert made.scores == [pytest.approx(float(text == "a")) for text in documents]

    run(scenario, pooling)


@pytest.mark.parametrize(
    ("pooling", "queries", "documents", "param"),
    [
        ("embed", ["a"], ["a", "x" * 65], "text_2[1]"),
        ("embed", ["x" * 65], ["a", "b"], "text_1"),
        ("embed", ["a", "x" * 65], ["a", "b"], "text_1[1]"),
        ("score", ["x" * 30], ["a", "x" * 31], "text_2[1]"),
        ("score", ["a", "x" * 30], ["a", "x" * 31], "text_2[1]"),
        ("score", ["x" * 65], ["a"], "text_1"),
    ],
)
def test_texts_that_are_too_long(
    pooling: str, queries: list[str], documents: list[str], param: str
) -> None:
    """Named as the request has them; a reranker must hold both texts at once."""

    async def scenario(pooler: Pooler) -> None:
        with pytest.raises(ContextLengthExceeded) as caught:
            await pooler.score(Score(1, "r", queries, documents, ("text_1", "text_2")))
        assert caught.value.param == param

    run(scenario, pooling)
