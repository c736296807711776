"""How likely a prompt's own tokens are: the same on every engine."""

from __future__ import annotations

import pytest
from openai.types.completion_choice import Logprobs
from tests.conformance import reference
from tests.conformance.ask import PROMPT, complete, token_ids
from tests.conformance.conftest import Served
from tests.conformance.engines import ENGINES

IDS = [504, 6180, 282, 4649, 314, 253, 3177, 28, 284, 253, 2644, 314, 260, 1313]
"""A prompt in SmolLM2's tokens, which the tiny model has too."""


def scored(served: Served, prompt: object = PROMPT, **options: object) -> Logprobs:
    answer = complete(served, prompt, echo=True, **{"max_tokens": 0, "logprobs": 2} | options)
    found = answer.choices[0].logprobs
    assert found is not None
    return found


def values(found: Logprobs) -> list[float]:
    """Of the prompt's tokens from the second one on."""
    first, *rest = found.token_logprobs or []
    assert first is None
    return [value for value in rest if value is not None]


def test_prompt_logprobs(served: Served) -> None:
    """Prompt log probabilities within 0.01 of transformers'"""
    engine = ENGINES["vllm"]
    if engine.missing() is not None:
        pytest.skip(f"the reference needs torch: {engine.missing()}")
    reference_model = served.engine if served.engine.name == "mlx" else engine
    expected = reference.of_prompt(engine.python, reference_model.model(reference_model), IDS)
    model = served.engine.exact_name
    # The second time a cached prefix is there, which does not help.
    for _ in range(2):
        found = scored(served, IDS, model=model)
        assert values(found) == pytest.approx(expected, abs=1e-2)
    answer = complete(served, IDS, model=model, max_tokens=1, extra_body={"prompt_logprobs": 1})
    told = answer.choices[0].to_dict()["prompt_logprobs"]
    assert isinstance(told, list)
    assert told[0] is None
    assert [
        entry[str(token)]["logprob"] for token, entry in zip(IDS[1:], told[1:], strict=True)
    ] == (pytest.approx(expected, abs=1e-2))
    for token, entry in zip(IDS[1:], told[1:], strict=True):
        best = max(entry.values(), key=lambda shown: shown["logprob"])
        assert best["rank"] == 1
        assert (entry[str(token)]["rank"] == 1) == (entry[str(token)] == best)


def test_echo(served: Served) -> None:
    """A repeated prompt with its tokens, its log probabilities and those of the answer"""
    greedy = token_ids(served, max_tokens=6)
    answer = complete(served, echo=True, logprobs=1, max_tokens=6)
    found, text = answer.choices[0].logprobs, answer.choices[0].text
    assert found is not None
    assert found.tokens is not None
    assert found.tokens[-6:] == greedy
    assert "".join(found.tokens) == text
    assert text.startswith(PROMPT)
    assert answer.usage is not None
    assert len(found.tokens) == answer.usage.total_tokens
    for token, offset in zip(found.tokens, found.text_offset or [], strict=True):
        assert text[offset : offset + len(token)] == token


def test_scores_are_consistent(served: Served) -> None:
    """A token is as likely in a prompt as it is in an answer"""
    model = served.engine.exact_name
    read = scored(served, IDS, model=model, logprobs=1)
    for at in (1, 6, len(IDS) - 1):
        # The bias makes it come, and does not show in the log probabilities.
        forced = {"logit_bias": {str(IDS[at]): 100}, "max_tokens": 1, "logprobs": 1}
        written = complete(served, IDS[:at], model=model, **forced).choices[0].logprobs
        assert written is not None
        assert written.tokens == (read.tokens or [])[at : at + 1]
        assert written.token_logprobs == [pytest.approx(values(read)[at - 1], abs=1e-2)]
        best, same = ((found.top_logprobs or [])[at_] for found, at_ in ((read, at), (written, 0)))
        assert best.keys() == same.keys(), "the likeliest token"


def test_streamed_scores(served: Served) -> None:
    """Streamed, they come before the answer; and with n answers, before each of them"""
    whole = complete(served, IDS, echo=True, logprobs=1, max_tokens=4, n=2)
    parts = list(complete(served, IDS, echo=True, logprobs=1, max_tokens=4, n=2, stream=True))
    for index, choice in enumerate(whole.choices):
        mine = [chunk.choices[0] for chunk in parts if chunk.choices[0].index == index]
        assert "".join(part.text for part in mine) == choice.text
        told = [part.logprobs for part in mine if part.logprobs is not None]
        assert [token for part in told for token in part.tokens or []] == (
            choice.logprobs and choice.logprobs.tokens
        )
        assert len(told[0].tokens or []) == len(IDS)


def test_best_of(served: Served) -> None:
    """best_of gives the likeliest of several answers, and counts all"""
    options = {"temperature": 1, "seed": 11, "max_tokens": 8, "logprobs": 0}
    # A prompt that is read anew is rounded a little otherwise than one that is found in the cache.
    complete(served, max_tokens=1)
    answer = complete(served, best_of=4, n=2, **options)
    means = []
    for choice in answer.choices:
        assert choice.logprobs is not None
        logprobs = [value or 0 for value in choice.logprobs.token_logprobs or []]
        means.append(sum(logprobs) / len(logprobs))
    assert means == sorted(means, reverse=True)
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 4 * 8
    everyone = complete(served, n=4, **options).choices
    assert {choice.text for choice in answer.choices} <= {choice.text for choice in everyone}
