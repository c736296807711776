"""Tests of `tricorn.gateway.guard.estimate`."""

from __future__ import annotations

import pytest

from tricorn.engines.request import ChatPrompt, Image, SamplingParams
from tricorn.gateway.guard.estimate import ANSWER_TOKENS, IMAGE_TOKENS, of_pairs, of_prompt, reserve
from tricorn.worker.protocol import FillPrompt, Prompt, TextPrompt, TokenPrompt


@pytest.mark.parametrize(
    ("prompt", "tokens"),
    [
        (TokenPrompt([1, 2, 3]), 3),
        (TextPrompt("a" * 40), 11),
        (TextPrompt("世" * 40), 31),
        (TextPrompt("\ud800"), 1),
        (ChatPrompt([{"role": "user", "content": "a" * 36}]), 11),
        (ChatPrompt([{"role": "user", "content": None}], images=[Image(b"")]), 2 + IMAGE_TOKENS),
        (ChatPrompt([], tools=[{"type": "a" * 8, "n": 1}]), 3),
        (FillPrompt("a" * 8, "b" * 8), 6),
        (FillPrompt([1, 2], ""), 3),
    ],
)
def test_prompts(prompt: Prompt, tokens: int) -> None:
    """A token for four bytes; what is counted already counts as it is."""
    assert of_prompt(prompt) == tokens


def test_answers_are_reserved_too() -> None:
    """Each of each prompt, as long as it may be."""
    prompts = [TokenPrompt([1]), TokenPrompt([1, 2])]
    assert reserve(prompts, SamplingParams(max_tokens=10, n=2)) == 3 + 40
    assert reserve(prompts[:1], SamplingParams()) == 1 + ANSWER_TOKENS


def test_pairs() -> None:
    """One query goes with every document."""
    assert of_pairs(["a" * 4], ["b" * 4] * 3) == 3 * 2 + 3 * 2
    assert of_pairs(["a" * 4] * 3, ["b" * 4] * 3) == 3 * 2 + 3 * 2
