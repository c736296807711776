"""How many tokens a request may take, before anything has counted them: what is reserved of its
key's limits until it ends. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from tricorn.engines.request import ChatPrompt, SamplingParams
from tricorn.worker.protocol import Prompt, TextPrompt, TokenPrompt

BYTES_A_TOKEN = 4
IMAGE_TOKENS = 512
ANSWER_TOKENS = 512
"""Of a request that does not say how long its answer may be."""


def reserve(prompts: Iterable[Prompt], sampling: SamplingParams) -> int:
    """Of all prompts and answers together."""
    answer = ANSWER_TOKENS if sampling.max_tokens is None else sampling.max_tokens
    return sum(of_prompt(prompt) + answer * sampling.n for prompt in prompts)


def of_prompt(prompt: Prompt) -> int:
    if isinstance(prompt, TokenPrompt):
        return len(prompt.token_ids)
    if isinstance(prompt, TextPrompt):
        return _of_text(prompt.text)
    if isinstance(prompt, ChatPrompt):
        inside = _bytes(prompt.messages) + _bytes(prompt.tools)
        return inside // BYTES_A_TOKEN + 1 + IMAGE_TOKENS * len(prompt.images)
    before = prompt.before
    first = _of_text(before) if isinstance(before, str) else len(before)
    return first + _of_text(prompt.after)


def of_pairs(queries: Sequence[str], documents: Sequence[str]) -> int:
    """Of what is compared: each document with its query, or all with the one that there is."""
    asked = sum(map(_of_text, queries)) * (len(documents) if len(queries) == 1 else 1)
    return asked + sum(map(_of_text, documents))


def _of_text(text: str) -> int:
    return _bytes(text) // BYTES_A_TOKEN + 1


def _bytes(value: Any) -> int:
    """Of the text in a JSON value."""
    if isinstance(value, str):
        return len(value.encode("utf-8", "surrogatepass"))
    if isinstance(value, dict):
        return sum(_bytes(one) for one in value.values())
    if isinstance(value, list):
        return sum(map(_bytes, value))
    return 0
