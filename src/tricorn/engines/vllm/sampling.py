"""Our sampling parameters in vLLM's names. Pure: `engine` makes vLLM's objects of them.

Settled here is what vLLM refuses or knows otherwise: `max_tokens=0`, several sequences of a greedy
request (which would all be the same), and `top_p=0`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from tricorn.engines import json_style
from tricorn.engines.request import Constraint, SamplingParams, ThoughtLimit
from tricorn.engines.vllm import stops
from tricorn.errors import InvalidRequest

GREEDY_BELOW = 1e-5
"""Temperatures below it are greedy in vLLM."""
TINY_TOP_P = 1e-6
"""For top_p=0, which vLLM refuses: only the likeliest token is left, as on other engines."""


def sequences(sampling: SamplingParams) -> int:
    """How many sequences vLLM computes; where it is 1 and `n` is more, all get its result."""
    if sampling.max_tokens == 0 or sampling.temperature < GREEDY_BELOW:
        return 1
    return sampling.n


def arguments(sampling: SamplingParams, *, vocab_size: int) -> dict[str, Any]:
    """Arguments of `vllm.SamplingParams`, without the constraint and the output kind.

    InvalidRequest where `logit_bias` names a token that the model has not.
    """
    for token in sampling.logit_bias:
        if not 0 <= token < vocab_size:
            raise InvalidRequest(
                f"logit_bias names token {token}, but this model's tokens go from 0 to "
                f"{vocab_size - 1}",
                param="logit_bias",
            )
    return {
        "n": sequences(sampling),
        "temperature": sampling.temperature,
        "top_p": sampling.top_p or TINY_TOP_P,
        "top_k": sampling.top_k,
        "min_p": sampling.min_p,
        "presence_penalty": sampling.presence_penalty,
        "frequency_penalty": sampling.frequency_penalty,
        "repetition_penalty": sampling.repetition_penalty,
        "logit_bias": sampling.logit_bias or None,
        "seed": sampling.seed,
        "stop": [] if stops.are_ours(sampling) else list(sampling.stop),
        "stop_token_ids": list(sampling.stop_token_ids),
        # Prefill only: vLLM always samples a token after it, which is dropped.
        "max_tokens": 1 if sampling.max_tokens == 0 else sampling.max_tokens,
        "min_tokens": sampling.min_tokens,
        "ignore_eos": sampling.ignore_eos,
        # All control tokens or none: vLLM cannot show some.
        "skip_special_tokens": not sampling.shown_tokens,
        "spaces_between_special_tokens": not sampling.shown_tokens,
        "logprobs": sampling.logprobs,
    }


def structured(constraint: Constraint) -> dict[str, Any]:
    """Arguments of `vllm.StructuredOutputsParams`."""
    match constraint.kind:
        case "json_object":
            return {"json": json_style.with_options('{"type": "object"}')}
        case "json_schema":
            return {"json": json_style.with_options(constraint.value)}
        case "choice":
            return {"choice": json.loads(constraint.value)}
        case kind:
            return {kind: constraint.value}


def thinking_budget(limit: ThoughtLimit, prompt: Sequence[int], begin: Sequence[int]) -> int:
    """`thinking_token_budget`. begin: the tokens that begin a thought.

    vLLM counts what stands behind them in the prompt too.
    """
    if not limit.opened:
        return limit.tokens
    size = len(begin)
    for at in range(len(prompt) - size, -1, -1):
        if list(prompt[at : at + size]) == list(begin):
            return limit.tokens + len(prompt) - at - size
    return limit.tokens
