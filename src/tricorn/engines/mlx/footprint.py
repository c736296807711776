"""What MLX will take of memory for a model. Pure.

MLX takes memory for a sequence as it grows, within limits that are set at the load (`memory`). So
what is counted is what one sequence of the full context takes, without which the model could not
serve what it promises; the rest up to the limits is growth.

The constant was measured on Linux x86-64 with MLX's CPU package, as the proportional set size after
the load of SmolLM2-135M in float32 (vocabulary of 49,152): 639 MiB, of which 513 are weights. A
model of 24 MiB with the same vocabulary took 157.
"""

from __future__ import annotations

from tricorn.engines.mlx import memory as mlx_memory
from tricorn.engines.mlx import options as mlx_options
from tricorn.engines.mlx.memory import CacheCost, Layer, MemoryPlan
from tricorn.engines.spec import EngineOptions
from tricorn.errors import ModelLoadFailed
from tricorn.model_facts.estimate import Estimate, Memory
from tricorn.model_facts.facts import FileFacts

MIB = 1 << 20

PROCESS = 126 * MIB
"""Python, the worker, MLX and the tokenizer, which is the larger part."""
STEP_TOKENS = 512
"""Of a prompt, computed at once; not measured. MLX decides it by its pace."""
ACTIVATIONS = 8
"""Vectors of the model's width that a step has for each token at a time, as in llama.cpp."""
NUMBER_BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}


def estimate(
    facts: FileFacts, options: EngineOptions, *, device: str, memory: Memory
) -> Estimate | None:
    """None where the folder does not tell enough. ModelLoadFailed where the options are wrong."""
    if facts.width is None or facts.cache is None:
        return None
    chosen = mlx_options.parse(options)
    number_type = chosen.dtype or facts.number_type or "float16"
    number = NUMBER_BYTES.get(number_type, 2)
    weights = facts.weight_bytes
    if chosen.dtype is not None and facts.number_type in NUMBER_BYTES:
        weights = weights * number // NUMBER_BYTES[facts.number_type]
    cost = _cost(facts, number)
    plan = _plan(chosen, weights, device=device, memory=memory)
    wanted = options.context_length or facts.context_trained or mlx_memory.DEFAULT_CONTEXT
    context = min(wanted, cost.tokens_in(plan.running)) if plan is not None else 0
    kv_cache = cost.bytes_for(context) if facts.kind == "text" else 0
    return Estimate(
        weights=weights,
        kv_cache=kv_cache,
        compute=STEP_TOKENS * facts.width * ACTIVATIONS * number,
        overhead=PROCESS,
        context_length=context,
        growth=0 if plan is None else max(0, plan.limit - weights - kv_cache),
    )


def _cost(facts: FileFacts, number: int) -> CacheCost:
    layers = tuple(
        Layer(layers.count * (layers.keys + layers.values) * number, layers.window)
        for layers in facts.cache or ()
    )
    return CacheCost(layers, facts.state_bytes)


def _plan(
    chosen: mlx_options.MlxOptions, weights: int, *, device: str, memory: Memory
) -> MemoryPlan | None:
    """None where the weights leave no room."""
    try:
        return mlx_memory.plan(
            chosen,
            weights=weights,
            recommended=memory.device if device == "metal" else None,
            available=memory.available,
            name="",
        )
    except ModelLoadFailed:
        return None
