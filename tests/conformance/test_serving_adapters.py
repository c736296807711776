"""LoRA adapters as models of their own, put into the models' folder while the server runs.

Behind test_serving by name: the load after its last crash makes room for them.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import openai
import pytest
from tests.conformance import lora, reference
from tests.conformance.ask import complete
from tests.conformance.conftest import NOTICED_S, Served
from tests.conformance.engines import ENGINES
from tests.polling import wait_until

PROMPT = [500 + 7919 * position % 40000 for position in range(150)]
"""Longer than a block of vLLM's prefix cache, which must not be shared between adapters. It repeats
nothing, or the answer would be the repetition, whatever an adapter does."""
TOKENS = 8


@pytest.fixture(scope="module")
def folder(served: Served, adapters: Path) -> Path:
    """Of the adapters, with room for them in the model, which is loaded anew where it has none."""
    if served.engine.takes_adapters:
        client = served.server.sdk(timeout=served.engine.start_s)
        client.completions.create(model=f"{served.model}:one", prompt=PROMPT, max_tokens=1)
    return adapters


def test_answers(served: Served, folder: Path) -> None:
    """A LoRA adapter answers as if it were merged into the weights, or is refused by name"""
    if not served.engine.takes_adapters:
        with pytest.raises(openai.BadRequestError, match="adapters need the vLLM engine") as caught:
            _tokens(served, "one")
        assert caught.value.param == "model"
        return
    base = _tokens(served)
    engine = ENGINES["vllm"]
    for name in ("one", "two"):
        expected = reference.continuation(
            engine.python, engine.model(engine), PROMPT, TOKENS, adapter=folder / name
        )
        answer = complete(
            served, PROMPT, max_tokens=TOKENS, logprobs=0, model=f"{served.model}:{name}"
        )
        assert answer.model == f"{served.model}:{name}"
        found = answer.choices[0].logprobs
        assert found is not None
        assert found.token_logprobs == pytest.approx([value for _, value in expected], abs=1e-2)
        assert found.tokens != base
    assert _tokens(served) == base


def test_listed(served: Served, folder: Path) -> None:
    """LoRA adapters are listed as models with a parent"""
    _takes(served)
    wait_until(lambda: f"{served.model}:two" in served.listed(), NOTICED_S)
    listed = served.client.models.retrieve(f"{served.model}:one")
    assert listed.model_extra is not None
    assert listed.model_extra["parent"] == listed.model_extra["root"] == served.model
    assert "adapters" in listed.model_extra["tricorn"]["capabilities"]


def test_together(served: Served, folder: Path) -> None:
    """Several LoRA adapters and their base in one batch, each with its own answers"""
    _takes(served)
    asked: list[str | None] = [None, "one", "two"]
    alone = [_tokens(served, name) for name in asked]
    with ThreadPoolExecutor(6) as threads:
        together = list(threads.map(lambda name: _tokens(served, name), asked * 2))
    assert together == alone * 2
    assert len({tuple(tokens) for tokens in alone}) == 3


def test_changes(served: Served, folder: Path) -> None:
    """A LoRA adapter that is added, replaced or removed while its model serves"""
    _takes(served)
    two = _tokens(served, "two")
    engine = served.process()
    lora.put(folder / "passing", served.model, served.sizes(), seed=1)
    assert _tokens(served, "passing") == _tokens(served, "one")
    lora.put(folder / "passing", served.model, served.sizes(), seed=2)
    wait_until(lambda: _tokens(served, "passing") == two, NOTICED_S)
    (folder / "passing").rename(folder / ".gone")
    wait_until(lambda: f"{served.model}:passing" not in served.listed(), NOTICED_S)
    with pytest.raises(openai.NotFoundError, match="passing"):
        _tokens(served, "passing")
    assert served.process() == engine, "the model has not been loaded anew"


def test_broken(served: Served, folder: Path) -> None:
    """A LoRA adapter that cannot be loaded fails its own requests, and no others"""
    _takes(served)
    one = _tokens(served, "one")
    lora.put(folder / "cut", served.model, served.sizes(), seed=3)
    weights = folder / "cut" / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    other = ENGINES["mlx"].model(ENGINES["mlx"])
    lora.put(folder / "alien", served.model, other, seed=3)
    lora.put(folder / "odd", served.model, served.sizes(), seed=3, use_dora=True)
    reasons = {"cut": "incomplete", "alien": "the model's has", "odd": "DoRA"}
    for name, reason in [*reasons.items(), *reasons.items()]:
        with pytest.raises(openai.InternalServerError, match=f"{name} .*{reason}") as caught:
            _tokens(served, name)
        assert caught.value.code == "model_load_failed"
    assert _tokens(served, "one") == one


def _takes(served: Served) -> None:
    if not served.engine.takes_adapters:
        pytest.skip(f"{served.engine.name} takes no adapters")


def _tokens(served: Served, adapter: str | None = None) -> list[str]:
    """The greedy answer."""
    model = f"{served.model}:{adapter}" if adapter else served.model
    found = complete(served, PROMPT, max_tokens=TOKENS, logprobs=0, model=model).choices[0].logprobs
    assert found is not None
    assert found.tokens is not None
    return found.tokens
