"""From logits to a token, by llama.cpp's real samplers. Run by `test_llamacpp_real.py`."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import pytest

from tricorn.engines.constraints import Matcher
from tricorn.engines.llamacpp.sampling import Candidates, Logits, Sampler, token_logprob
from tricorn.engines.request import SamplingParams, ThoughtLimit
from tricorn.engines.thoughts import Thought

SIZE = 8
END = frozenset({6, 7})
CANDIDATES = Candidates(SIZE)


def row(*values: float) -> Logits:
    """Logits; the tokens that are not named are unlikely."""
    return np.array([*values, *[-5.0] * (SIZE - len(values))], dtype=np.float32)


class Only:
    """A matcher that allows one set of tokens a position."""

    def __init__(self, *positions: set[int]) -> None:
        self.positions = list(positions)
        self.accepted: list[int] = []

    def mask(self, logits: Logits) -> None:
        logits[[token for token in range(SIZE) if token not in self.positions[0]]] = -np.inf

    def accept(self, token: int) -> None:
        assert token in self.positions.pop(0)
        self.accepted.append(token)


def sampler(
    index: int = 0, prompt: list[int] | None = None, matcher: Only | None = None, **sampling: Any
) -> Sampler:
    return Sampler(
        CANDIDATES,
        SamplingParams(**sampling),
        index,
        vocab_size=SIZE,
        prompt=prompt or [],
        end_tokens=END,
        matcher=cast(Matcher | None, matcher),
    )


def draws(logits: Logits, count: int = 200, **options: Any) -> list[int]:
    made = sampler(**options)
    try:
        return [made.sample(logits, generated) for generated in range(count)]
    finally:
        made.close()


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_thought_is_ended(temperature: float) -> None:
    """By its tokens, whatever the logits say; a constraint hears of them."""
    limit = ThoughtLimit(2, "", "34", ((3, 4),), opened=True)
    matcher = Only(*[{1, 3, 4}] * 6)
    made = Sampler(
        CANDIDATES,
        SamplingParams(temperature=temperature, thought_limit=limit, min_tokens=9),
        0,
        vocab_size=SIZE,
        prompt=[],
        end_tokens=END,
        matcher=cast(Matcher, matcher),
        thought=Thought(limit, lambda token: b"%d" % token),
    )
    tokens = [made.sample(row(0, 90), generated) for generated in range(6)]
    made.close()
    assert tokens == matcher.accepted == [1, 1, 3, 4, 1, 1]


def test_greedy_takes_the_likeliest() -> None:
    """And leaves the logits as they are."""
    logits = row(1, 3, 2)
    before = logits.copy()
    assert set(draws(logits, temperature=0)) == {1}
    assert (logits == before).all()


def test_a_seed_gives_the_same_again() -> None:
    """The same tokens for the same index, others for another; at random without one."""
    logits = row(1, 1, 1, 1, 1, 1)
    assert draws(logits, seed=5) == draws(logits, seed=5)
    assert draws(logits, seed=5) != draws(logits, seed=5, index=1)
    assert draws(logits, seed=5, index=1) == draws(logits, seed=6)
    assert draws(logits) != draws(logits)


def test_temperature_spreads() -> None:
    """A low one comes close to greedy, a high one to chance."""
    logits = row(2, 1)
    assert Counter(draws(logits, temperature=0.1, seed=1))[0] > 190
    assert Counter(draws(logits, temperature=2.0, seed=1))[0] < 150


@pytest.mark.parametrize("cut", [{"top_k": 2}, {"top_p": 0.75}, {"min_p": 0.3}])
def test_cuts(cut: dict[str, float]) -> None:
    """Each leaves the two likeliest."""
    assert set(draws(row(3, 2.5, 1, 0), seed=1, **cut)) == {0, 1}


def test_bias() -> None:
    """-100 bans, +100 forces, greedy or not."""
    for temperature in (0.0, 1.0):
        logits = row(9, 8)
        assert set(draws(logits, temperature=temperature, logit_bias={0: -100})) == {1}
        assert set(draws(logits, temperature=temperature, logit_bias={5: 100})) == {5}


def test_penalties() -> None:
    """Frequency and presence count the answer alone, repetition the prompt as well."""
    logits = row(2.0, 1.5)
    assert draws(logits, 2, temperature=0, presence_penalty=1) == [0, 1]
    assert draws(logits, 3, temperature=0, frequency_penalty=0.4) == [0, 0, 1]
    assert draws(logits, 1, temperature=0, presence_penalty=1, prompt=[0]) == [0]
    assert draws(logits, 1, temperature=0, repetition_penalty=2.0, prompt=[0]) == [1]


def test_ends_that_may_not_come_yet() -> None:
    """Not before min_tokens, then as the model likes; never with ignore_eos."""
    logits = row(0, 1, 0, 0, 0, 0, 5, 4)
    assert draws(logits, 4, temperature=0, min_tokens=2) == [1, 1, 6, 6]
    assert draws(logits, 4, temperature=0, min_tokens=3, stop_token_ids=(1,))[:3] == [0, 0, 0]
    assert draws(logits, 4, temperature=0, ignore_eos=True) == [1, 1, 1, 1]


EVERYTHING: dict[str, Any] = {
    "temperature": 1.3,
    "top_k": 5,
    "top_p": 0.9,
    "min_p": 0.01,
    "presence_penalty": 1.0,
    "frequency_penalty": 1.0,
    "repetition_penalty": 1.5,
    "logit_bias": {0: 100.0, 3: -100.0},
    "seed": 3,
}


@pytest.mark.parametrize(
    "sampling",
    [{"temperature": 0}, {"temperature": 0, "frequency_penalty": 1.0}, {"seed": 1}, EVERYTHING],
    ids=["greedy", "greedy with penalties", "plain", "everything"],
)
def test_a_constraint_goes_before_everything(sampling: dict[str, Any]) -> None:
    """Only what it allows is chosen, however likely the rest; the logits stay the model's."""
    logits = row(9, 8, 7, 6, 5, 4, 3)
    before = logits.copy()
    steps = [{2, 3}, {3}, {4, 5}, {1, 7}, {7}] * 40
    matcher = Only(*steps)
    drawn = draws(logits, len(steps), matcher=matcher, **sampling)
    assert matcher.accepted == drawn
    assert (logits == before).all()


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_finished_constraint_ends_whatever_the_request_says(temperature: float) -> None:
    """min_tokens and ignore_eos put the end off where there is a choice, and only there."""
    logits = row(0, 0, 0, 0, 0, 0, 5, 5)
    for ban in ({"min_tokens": 9}, {"ignore_eos": True}):
        matcher = Only({1, 6}, {6, 7})
        first, second = draws(logits, 2, matcher=matcher, temperature=temperature, **ban)
        assert first == 1
        assert second in END


@pytest.fixture
def pieces() -> Callable[[int], bytes]:
    return lambda token: b"%d" % token


def test_logprobs_are_the_models_own(pieces: Callable[[int], bytes]) -> None:
    """The logarithm of the softmax; the likeliest tokens in order, ties by id."""
    logits = np.array([1, 3, 2, 3, 0, 0, 0, -np.inf], dtype=np.float32)
    total = math.log(sum(math.exp(value) for value in logits))
    got = token_logprob(logits, 2, 3, pieces)
    assert (got.token, got.token_id) == (b"2", 2)
    assert got.logprob == pytest.approx(2 - total, abs=1e-6)
    assert {entry.token_id for entry in got.top[:2]} == {1, 3}
    assert got.top[2].token_id == 2
    assert [entry.logprob for entry in got.top] == pytest.approx(
        [3 - total, 3 - total, 2 - total], abs=1e-6
    )


def test_logprobs_without_alternatives(pieces: Callable[[int], bytes]) -> None:
    """None asked, none given; large logits do not overflow; what cannot come has minus infinity."""
    huge = np.array([1e4, 1e4, -np.inf], dtype=np.float32)
    got = token_logprob(huge, 0, 0, pieces)
    assert got.top == []
    assert got.logprob == pytest.approx(-math.log(2), abs=1e-6)
    assert token_logprob(huge, 2, 0, pieces).logprob == -math.inf
