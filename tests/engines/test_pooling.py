"""Prompts in batches: who is in one, in which order, and what an error or an abort takes away."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tricorn.engines.fake import create
from tricorn.engines.pooling import PoolingQueue, Vectors
from tricorn.engines.request import GenerateRequest, SamplingParams
from tricorn.engines.spec import EngineOptions, ModelSpec
from tricorn.errors import EngineGenerateError, EngineLost, InvalidRequest


class Batches:
    """Computes a prompt's sum, and notes what came together."""

    def __init__(self, **limits: int) -> None:
        self.seen: list[list[list[int]]] = []
        self.fails = False
        self.queue = PoolingQueue(self._compute, **{"max_prompts": 3, "max_tokens": 10} | limits)

    def _compute(self, prompts: list[list[int]]) -> Vectors:
        self.seen.append(prompts)
        assert self.queue.running == len(prompts)
        if self.fails:
            raise EngineGenerateError("no")
        return [[float(sum(prompt))] for prompt in prompts]


def test_requests_share_batches_in_order() -> None:
    """A batch takes from the next request when one has no more, and outputs come when complete."""
    made = Batches()
    made.queue.add("a", [[1], [2]])
    made.queue.add("b", [[3], [4], [5]])
    assert made.queue.waiting == 5
    assert made.queue.step() == [("a", [[1.0], [2.0]])]
    assert made.seen == [[[1], [2], [3]]]
    assert (made.queue.busy, made.queue.waiting) == (True, 2)
    assert made.queue.step() == [("b", [[3.0], [4.0], [5.0]])]
    assert (made.queue.busy, made.queue.waiting, made.queue.prompt_tokens) == (False, 0, 5)


def test_a_batch_is_bounded_by_tokens() -> None:
    """The one that would not fit waits for the next batch; one prompt always goes."""
    made = Batches()
    made.queue.add("a", [[1] * 6, [1] * 5, [1] * 4])
    made.queue.step()
    made.queue.step()
    assert [[len(prompt) for prompt in batch] for batch in made.seen] == [[6], [5, 4]]


def test_an_aborted_request_is_gone() -> None:
    """Also half computed; the others go on."""
    made = Batches()
    made.queue.add("a", [[1], [2], [3], [4], [5]])
    made.queue.add("b", [[6]])
    assert made.queue.step() == []
    made.queue.abort("a")
    made.queue.abort("unknown")
    assert made.queue.waiting == 1
    assert made.queue.step() == [("b", [[6.0]])]


def test_an_error_fails_those_in_the_batch() -> None:
    """Each once, whole; who is not in it is computed."""
    made = Batches()
    made.queue.add("a", [[1], [2]])
    made.queue.add("b", [[3], [4]])
    made.queue.add("c", [[5]])
    made.fails = True
    failed = made.queue.step()
    assert [name for name, _error in failed] == ["a", "b"]
    made.fails = False
    assert made.queue.waiting == 1
    assert made.queue.step() == [("c", [[5.0]])]


def run(scenario: Any, **engine_args: Any) -> None:
    async def limited() -> None:
        async with asyncio.timeout(10):
            engine = create()
            options = EngineOptions(engine_args={"pooling": "embed"} | engine_args)
            await engine.load(ModelSpec("m", "", "fake", "fake", "", 0, 0, options))
            await scenario(engine)
            await engine.unload()

    asyncio.run(limited())


def test_an_engine_embeds() -> None:
    """Vectors of length 1, one a prompt, with the tokens they took."""

    async def scenario(engine: Any) -> None:
        first, second = await asyncio.gather(engine.embed([[1], [9, 9]]), engine.embed([[2]]))
        assert first.vectors[0] == first.vectors[1]  # the same remainder by 8
        assert (first.prompt_tokens, second.prompt_tokens) == (3, 1)
        assert engine.stats().prompt_tokens == 4

    run(scenario)


def test_an_engine_scores() -> None:
    """One number a document."""

    async def scenario(engine: Any) -> None:
        scores = await engine.score(list(b"ab"), [list(b"ab"), list(b"cd"), list(b"bc")])
        assert scores.scores == [1.0, 0.0, pytest.approx(1 / 3)]
        assert scores.prompt_tokens == 15

    run(scenario, pooling="score")


def test_a_cancelled_embed_leaves_the_queue() -> None:
    """What it has not had computed is not computed."""

    async def scenario(engine: Any) -> None:
        task = asyncio.create_task(engine.embed([[1]] * 4000))
        while not engine.stats().waiting:
            await asyncio.sleep(0.005)
        task.cancel()
        while engine.stats().waiting or engine.stats().running:
            await asyncio.sleep(0.005)
        assert engine.stats().prompt_tokens < 4000

    run(scenario, token_delay_s=0.01)


def test_it_generates_nothing() -> None:
    """Refused, and the model is named as the reason."""

    async def scenario(engine: Any) -> None:
        with pytest.raises(InvalidRequest) as caught:
            await anext(engine.generate(GenerateRequest("r", [1], SamplingParams())))
        assert caught.value.param == "model"

    run(scenario)


def test_a_core_that_breaks_fails_whoever_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """With EngineLost, and so does who comes later."""

    async def scenario(engine: Any) -> None:
        def broken() -> None:
            raise RuntimeError("broken")

        monkeypatch.setattr(engine._core.pooling, "step", broken)
        for _ in range(2):
            with pytest.raises(EngineLost):
                await engine.embed([[1]])

    run(scenario)


def test_a_model_that_generates_does_not_pool() -> None:
    """Its capabilities say so; asking all the same is a mistake of ours."""

    async def scenario() -> None:
        engine = create()
        await engine.load(ModelSpec("m", "", "fake", "fake", "", 0, 0))
        with pytest.raises(TypeError):
            await engine.embed([[1]])
        await engine.unload()

    asyncio.run(scenario())
