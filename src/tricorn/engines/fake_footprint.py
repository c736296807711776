"""What the engine without a model is thought to take of memory: what its knobs say. Pure."""

from __future__ import annotations

from tricorn.engines.spec import EngineOptions
from tricorn.model_facts.estimate import Estimate, Memory
from tricorn.model_facts.facts import FileFacts

CONTEXT = 4096
"""Tokens, unasked."""


def estimate(
    facts: FileFacts, options: EngineOptions, *, device: str, memory: Memory
) -> Estimate | None:
    """None without the knob `memory_bytes`: then it takes nothing worth counting."""
    weights = options.engine_args.get("memory_bytes")
    if not isinstance(weights, int):
        return None
    context = options.context_length or CONTEXT
    for_tokens = options.engine_args.get("token_bytes", 0) * context
    return Estimate(weights, for_tokens, compute=0, overhead=0, context_length=context)
