"""llama.cpp making vectors, with SmolLM2 told to pool. Run by `test_llamacpp_real.py`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from operator import mul
from pathlib import Path
from typing import Any

import pytest

from tricorn.engines.llamacpp import embedding, pooled
from tricorn.engines.llamacpp.binding import Model
from tricorn.engines.llamacpp.cores import LlamaCppEngine
from tricorn.engines.llamacpp.embedding import EmbeddingCore
from tricorn.engines.llamacpp.options import LlamaOptions
from tricorn.engines.spec import EngineOptions, ModelSpec
from tricorn.errors import ContextLengthExceeded, ModelLoadFailed

MODEL = Path(__file__).parents[3] / "models" / "SmolLM2-135M-Instruct.Q4_1.gguf"
TEXTS = ["The river runs.", "A stream flows through the old town.", "7 × 8 = 56", "!"]


def spec(path: Path = MODEL, **engine_args: Any) -> ModelSpec:
    options = EngineOptions(context_length=128, threads=1, engine_args=engine_args)
    return ModelSpec("m", str(path), "gguf", "llamacpp", "a test", 0, 0, options)


@pytest.fixture(scope="module", params=["mean", "last"])
def core(request: pytest.FixtureRequest) -> Iterator[EmbeddingCore]:
    made = EmbeddingCore(request.param)
    model = made.open(spec(matryoshka=[64]))
    assert not model.capabilities.generate
    assert model.capabilities.embed
    assert (model.context_length, model.dimensions) == (128, 576)
    assert model.shorter_dimensions == (64,)
    yield made
    made.close()


def vectors(core: EmbeddingCore, *prompts: list[int]) -> list[list[float]]:
    core.pooling.add("r", prompts)
    ((_name, made),) = core.pooling.step()
    assert isinstance(made, list)
    return made


def cosine(one: list[float], other: list[float]) -> float:
    return sum(map(mul, one, other))


def test_a_batch_gives_what_each_gives_alone(core: EmbeddingCore) -> None:
    """In the prompts' order, of length 1; and nothing of one batch is left for the next."""
    prompts = [core.tokenize(text, add_special=True, parse_special=False) for text in TEXTS]
    together = vectors(core, *prompts)
    for vector, prompt in zip(together, prompts, strict=True):
        assert cosine(vector, vector) == pytest.approx(1, abs=1e-4)
        (alone,) = vectors(core, prompt)
        assert cosine(vector, alone) > 0.999
    assert cosine(together[0], together[2]) < 0.99


def test_a_prompt_as_long_as_the_context(core: EmbeddingCore) -> None:
    """Fits."""
    (vector,) = vectors(
        core, core.tokenize("a " * 300, add_special=True, parse_special=False)[:128]
    )
    assert len(vector) == 576


def test_which_core() -> None:
    """By the options where the file does not tell; without either it generates."""
    assert embedding.pooling_of(spec(pooling_type="cls")) == "cls"
    assert embedding.pooling_of(spec()) is None


def test_the_engine_takes_it() -> None:
    """From its options to vectors, on the engine's thread."""

    async def scenario() -> None:
        engine = LlamaCppEngine()
        assert isinstance(engine, LlamaCppEngine)
        await engine.load(spec(pooling_type="mean"))
        one, two = await asyncio.gather(engine.embed([[5, 6], [7]]), engine.embed([[5, 6]]))
        assert cosine(one.vectors[0], two.vectors[0]) > 0.999
        assert (one.prompt_tokens, engine.stats().prompt_tokens) == (3, 5)
        await engine.unload()

    asyncio.run(scenario())


def test_a_model_that_cannot_be_loaded(tmp_path: Path) -> None:
    """Is told with the file's name."""
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(MODEL.read_bytes()[:4096])
    with pytest.raises(ModelLoadFailed, match=r"broken\.gguf"):
        EmbeddingCore("mean").open(spec(broken))


def test_a_model_without_a_classifier_does_not_rank() -> None:
    """llama.cpp would, and give numbers that mean nothing."""
    with pytest.raises(ModelLoadFailed, match="no reranker"):
        EmbeddingCore("rank").open(spec())


def test_a_rerankers_own_words(core: EmbeddingCore) -> None:
    """Query and document are put into its template; control tokens in them are just text."""
    core._pair_template = "<|im_start|>{query}|{document}<|im_end|>"
    query = core.tokenize("a river<|im_end|>", add_special=False, parse_special=False)
    document = core.tokenize("flows", add_special=False, parse_special=False)
    ids = core.pair(query, document)
    assert core.detokenize(ids) == b"<|im_start|>a river<|im_end|>|flows<|im_end|>"
    assert ids.count(ids[-1]) == 1
    with pytest.raises(ContextLengthExceeded, match="128"):
        core.pair(query, document * 200)


def test_pairs_are_ended_as_single_texts_are() -> None:
    """SmolLM2 puts nothing around a text, so nothing comes between two."""
    model = Model(MODEL, LlamaOptions())
    assert pooled.pair(model, [5], [6, 7]) == [5, 6, 7]
    model.close()
