"""What one load will take, by place. Pure.

Best is what the same load took the last time. Else it is estimated from what the files tell; else
their size counts, times a factor, with what the engine takes beside it.

`EngineOptions.memory` is set here (`prepared`): what an engine chooses by itself, such as the size
of its cache, then goes by what models may take on this machine, and not by what happens to be free
when it looks. So it is known before the load, and the same each time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import orjson

from tricorn.engines.spec import ModelSpec
from tricorn.engines.vllm.footprint import GPU_SHARE
from tricorn.hardware.facts import Facts
from tricorn.manager.memory import estimate as memory_estimate
from tricorn.manager.memory.budget import gpus, visible_gpus
from tricorn.manager.memory.ledger import MAIN, METAL, Needs, cuda
from tricorn.model_facts.estimate import Estimate, Memory
from tricorn.model_facts.facts import FileFacts

MIB, GIB = 1 << 20, 1 << 30

OVER_FILES = 1.2
"""Of the size of files that nothing is known of: a little for caches."""
OVERHEADS = {"llamacpp": 128 * MIB, "mlx": 256 * MIB, "vllm": 3 * GIB}
"""Beside that: the process, and on vLLM the smallest cache that it gets unasked."""
TAKEN_AS_USED = ("mlx",)
"""Engines whose caches take memory when they are first used, not at the load."""
STEPS = 16
"""`EngineOptions.memory` is one of so many sizes between a power of two and the next: free memory
is never twice the same, and what is remembered of a load is found again only where it is."""
ANY_KEYS = orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS


def prepared(spec: ModelSpec, machine: Facts, capacity: Needs) -> ModelSpec:
    """The spec as it is to be loaded where models may take up to `capacity`, the ledger's."""
    options = msgspec.structs.replace(spec.options, memory=_stepped(capacity.get(MAIN)))
    if spec.engine == "vllm" and spec.device == "cuda":
        options = msgspec.structs.replace(
            options, engine_args=_share(spec, machine, capacity) | options.engine_args
        )
    return msgspec.structs.replace(spec, options=options)


def needs_of(spec: ModelSpec, machine: Facts, remembered: Mapping[str, Needs]) -> dict[str, int]:
    """What one replica takes. spec: `prepared`. remembered: measured needs by `fingerprint`."""
    measured = remembered.get(fingerprint(spec, machine))
    if measured is None:
        return estimated_needs(spec, machine)
    return settled_needs(spec, machine, measured)


def estimated_needs(spec: ModelSpec, machine: Facts) -> dict[str, int]:
    """As `needs_of` where nothing is remembered."""
    estimate = _estimate(spec, machine)
    if estimate is not None:
        return _by_place(spec, machine, estimate)
    overhead = OVERHEADS.get(spec.engine, 0)
    weights = round(spec.size_bytes * OVER_FILES)
    on_card = spec.device == "cuda"
    guess = Estimate(weights, 0, 0, overhead, host=OVERHEADS["llamacpp"] if on_card else 0)
    return _by_place(spec, machine, guess)


def settled_needs(spec: ModelSpec, machine: Facts, measured: Needs) -> dict[str, int]:
    """What the ledger is to hold for a replica that was measured when it was ready: an engine that
    takes its caches as it uses them has yet to take what was promised to it."""
    estimated = estimated_needs(spec, machine)
    if spec.engine in TAKEN_AS_USED:
        return {
            place: max(estimated.get(place, 0), measured.get(place, 0))
            for place in estimated.keys() | measured.keys()
        }
    return {**estimated, **measured}


def context_of(spec: ModelSpec, machine: Facts) -> int | None:
    """Tokens that a sequence will get, by the estimate."""
    estimate = _estimate(spec, machine)
    return None if estimate is None else estimate.context_length


def fingerprint(spec: ModelSpec, machine: Facts) -> str:
    """The same for loads that take the same memory."""
    estimate = _estimate(spec, machine)
    options = spec.options
    told: list[Any] = [
        spec.path or spec.id,
        spec.size_bytes,
        spec.created,
        spec.engine,
        spec.device,
        options.context_length,
        options.max_num_seqs,
        options.prefill_budget,
        options.engine_args,
        sorted(adapter.rank for adapter in spec.adapters),
        spec.binding.env,
        used_gpus(spec, machine),
        # What the engine makes of the rest, which depends on the machine.
        None if estimate is None else (estimate.kv_cache, estimate.context_length),
    ]
    return hashlib.sha256(orjson.dumps(told, default=str, option=ANY_KEYS)).hexdigest()[:32]


def used_gpus(spec: ModelSpec, machine: Facts) -> dict[int, int | None]:
    """The GPUs that a load takes memory of, and their sizes; none where it computes elsewhere."""
    if spec.device != "cuda":
        return {}
    there = visible_gpus(machine)
    if (bound := spec.binding.gpus) is not None:
        all_of_them = gpus(machine)
        there = {number: all_of_them[number] for number in bound if number in all_of_them}
    if spec.engine == "vllm":
        # It takes the first ones, unless more are asked for.
        names = ("tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size")
        count = 1
        for name in names:
            asked = spec.options.engine_args.get(name)
            count *= asked if isinstance(asked, int) and asked > 0 else 1
        there = dict(list(there.items())[:count])
    return there


def _estimate(spec: ModelSpec, machine: Facts) -> Estimate | None:
    memory = memory_estimate.memory_of(machine, spec.engine, spec.device)
    device = memory.device
    if used := used_gpus(spec, machine):
        device = _sum(list(used.values()))
    return memory_estimate.estimate(
        spec.facts or FileFacts(),
        spec.options,
        spec.engine,
        spec.device,
        Memory(spec.options.memory or memory.available, device),
    )


def _by_place(spec: ModelSpec, machine: Facts, estimate: Estimate) -> dict[str, int]:
    used = used_gpus(spec, machine)
    if not used or not estimate.host:  # or kept off the cards by its options
        total = estimate.total + estimate.host
        return {MAIN: total, METAL: total} if spec.device == "metal" else {MAIN: total}
    # vLLM takes the same of each; llama.cpp divides the layers by what each has.
    all_of_them = None if spec.engine == "vllm" else _sum(list(used.values()))
    found = {MAIN: estimate.host}
    for number, size in used.items():
        share = size / all_of_them if size and all_of_them else 1 / len(used)
        found[cuda(number)] = round(estimate.total * share)
    return found


def _share(spec: ModelSpec, machine: Facts, capacity: Needs) -> dict[str, Any]:
    """vLLM's gpu_memory_utilization, where models may take less of a GPU than it does unasked."""
    shares = [
        int(100 * capacity[cuda(number)] / size) / 100
        for number, size in used_gpus(spec, machine).items()
        if size and cuda(number) in capacity
    ]
    share = min(shares, default=1.0)
    return {"gpu_memory_utilization": share} if 0 < share < GPU_SHARE else {}


def _sum(sizes: Sequence[int | None]) -> int | None:
    known = [size for size in sizes if size is not None]
    return sum(known) if len(known) == len(sizes) else None


def _stepped(size: int | None) -> int | None:
    if size is None or size <= 0:
        return None
    step = max(1, (1 << size.bit_length() - 1) // STEPS)
    return size // step * step
