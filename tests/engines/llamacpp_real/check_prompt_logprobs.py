"""A prompt's own log probabilities, with SmolLM2. Run by `test_llamacpp_real.py`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import llama_cpp
import numpy as np
import pytest

from tricorn.engines.llamacpp.engine import LlamaCppCore
from tricorn.engines.request import GenerateRequest, SamplingParams, TokenDelta, TokenLogprob
from tricorn.engines.spec import EngineOptions, FillTokens, ModelSpec

MODEL = Path(__file__).parents[3] / "models" / "SmolLM2-135M-Instruct.Q4_1.gguf"
SPEC = ModelSpec(
    "m", str(MODEL), "gguf", "llamacpp", "a test", 0, 0,
    EngineOptions(context_length=512, max_num_seqs=4, threads=1, engine_args={"flash_attn": "off"}),
)  # fmt: skip
TEXT = "<|im_start|>user\nThe river runs through the old town and under the bridge.<|im_end|>\n"


@pytest.fixture(scope="module")
def loaded() -> Iterator[LlamaCppCore]:
    core = LlamaCppCore()
    model = core.open(SPEC)
    assert model.capabilities.prompt_logprobs
    assert not model.capabilities.fill_in_middle, "SmolLM2 has no tokens for it"
    assert model.fill_tokens is None
    yield core
    core.close()


@pytest.fixture
def core(loaded: LlamaCppCore) -> LlamaCppCore:
    loaded._scheduler.max_scored = 1000
    return loaded


def ask(core: LlamaCppCore, name: str, *, n: int = 1, top: int | None = 2, tokens: int = 3) -> None:
    ids = core.tokenize(TEXT, add_special=False, parse_special=True)
    sampling = SamplingParams(temperature=0.0, max_tokens=tokens, n=n)
    core.submit(GenerateRequest(name, ids, sampling, prompt_logprobs=top))


def finish(core: LlamaCppCore) -> list[tuple[str, TokenDelta]]:
    deltas = []
    while core.busy():
        for name, item in core.step():
            assert isinstance(item, TokenDelta)
            deltas.append((name, item))
    return deltas


def told(deltas: list[tuple[str, TokenDelta]], name: str = "a") -> list[TokenLogprob]:
    first, *others = [delta for of, delta in deltas if of == name]
    assert all(delta.prompt_logprobs is None for delta in others)
    assert first.prompt_logprobs is not None
    return first.prompt_logprobs


def values(entries: list[TokenLogprob]) -> list[float]:
    return [entry.logprob for entry in entries]


def test_what_is_told_of_each_token(core: LlamaCppCore) -> None:
    """Its bytes (control tokens by name), rank and the likeliest; cached or not."""
    ids = core.tokenize(TEXT, add_special=False, parse_special=True)
    ask(core, "a")
    entries = told(finish(core))
    assert [entry.token_id for entry in entries] == ids[1:]
    assert b"".join(entry.token for entry in entries) == TEXT.removeprefix("<|im_start|>").encode()
    for entry in entries:
        assert [top.logprob for top in entry.top] == sorted(
            (top.logprob for top in entry.top), reverse=True
        )
        assert entry.rank is not None
        assert (entry.rank <= 2) == any(top.token_id == entry.token_id for top in entry.top)
        if entry.rank <= 2:
            assert entry.top[entry.rank - 1].logprob == entry.logprob
    ask(core, "a")
    again = finish(core)
    assert again[0][1].cached_tokens == 0, "the logits are in no cache"
    assert values(told(again)) == pytest.approx(values(entries), abs=1e-5)


def test_in_small_parts(core: LlamaCppCore) -> None:
    """A few rows a step give the same, and so does an engine that preempts in between."""
    ask(core, "a", tokens=0)
    whole = values(told(finish(core)))
    core._scheduler.max_scored = 3
    ask(core, "a", tokens=0)
    for _ in range(3):
        assert core.step() == []
    core._scheduler.preempt()
    parts = values(told(finish(core)))
    assert np.abs(np.array(parts) - np.array(whole)).max() < 0.05


def test_the_other_answers_come_afterwards(core: LlamaCppCore) -> None:
    """They share the prompt that the first one has computed; nothing is told twice."""
    ask(core, "a", n=3)
    deltas = finish(core)
    told(deltas)
    firsts = {delta.index: delta for _, delta in reversed(deltas)}
    assert [firsts[index].cached_tokens == 0 for index in range(3)] == [True, False, False]
    answers = ["".join(d.text for _, d in deltas if d.index == index) for index in range(3)]
    assert len(set(answers)) == 1
    assert sum(delta.finish_reason is not None for _, delta in deltas) == 3


def test_an_abort_takes_all_of_them(core: LlamaCppCore) -> None:
    """Those too that had not begun."""
    ask(core, "a", n=3)
    core._scheduler.max_scored = 3
    core.step()
    core.abort("a")
    assert not core.busy()
    assert finish(core) == []


def test_others_are_as_they_were(core: LlamaCppCore) -> None:
    """A request that asks for none is told none, beside one that does."""
    ask(core, "b", top=None)
    alone = [delta.text for _, delta in finish(core)]
    ask(core, "b", top=None)
    ask(core, "a", top=0)
    deltas = finish(core)
    assert [delta.text for name, delta in deltas if name == "b"] == alone
    assert all(delta.prompt_logprobs is None for name, delta in deltas if name == "b")
    assert all(entry.top == [] for entry in told(deltas))


def test_fill_tokens_are_the_vocabularys(
    core: LlamaCppCore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prefix, suffix, middle; without one of them there is nothing to fill a gap with."""
    ids = {"pre": 7, "suf": 5, "mid": 6}
    for part, token in ids.items():
        monkeypatch.setattr(llama_cpp, f"llama_vocab_fim_{part}", lambda _vocab, id=token: id)
    assert core._model.fill_tokens() == FillTokens(prefix=7, suffix=5, middle=6)
    monkeypatch.setattr(llama_cpp, "llama_vocab_fim_suf", lambda _vocab: -1)
    assert core._model.fill_tokens() is None
