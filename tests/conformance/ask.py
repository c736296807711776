"""Short forms of what the suite asks for."""

from __future__ import annotations

from typing import Any

from openai.types import Completion
from tests.conformance.conftest import Served

PROMPT = "The river runs through the old town and under the bridge. In the evening"
END_OF_TURN = 2
"""SmolLM2's token that ends an answer; the tiny model has the same vocabulary."""


def complete(served: Served, prompt: Any = PROMPT, **options: Any) -> Completion:
    """A completion; greedy and never ended by the model unless asked otherwise."""
    extra = {"ignore_eos": True} | options.pop("extra_body", {})
    options = {"model": served.model, "temperature": 0, "max_tokens": 16} | options
    found: Completion = served.client.completions.create(prompt=prompt, extra_body=extra, **options)
    return found


def text(served: Served, prompt: Any = PROMPT, **options: Any) -> str:
    return complete(served, prompt, **options).choices[0].text


def pieces(served: Served, prompt: Any = PROMPT, **options: Any) -> list[str]:
    """The texts of a stream's chunks."""
    stream = complete(served, prompt, stream=True, **options)
    return [chunk.choices[0].text for chunk in stream if chunk.choices]


def token_ids(served: Served, prompt: Any = PROMPT, **options: Any) -> list[str]:
    """The generated tokens, as the texts that logprobs name them by."""
    logprobs = complete(served, prompt, logprobs=0, **options).choices[0].logprobs
    assert logprobs is not None
    assert logprobs.tokens is not None
    return logprobs.tokens
