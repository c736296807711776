"""A model that needs more than there is, even with every other one unloaded: what to load instead,
or what to say. Pure."""

from __future__ import annotations

import msgspec

from tricorn.engines.spec import ModelSpec
from tricorn.errors import InsufficientMemory
from tricorn.hardware.facts import Facts
from tricorn.manager.memory.estimate import longest
from tricorn.manager.memory.ledger import MAIN, METAL, Needs, short_of
from tricorn.manager.memory.needs import context_of, estimated_needs

MIB, GIB = 1 << 20, 1 << 30
MOST = 1 << 20
"""Tokens of a context, where nothing tells how long it may be."""
FIXED_CACHE = ("kv_tokens", "kv_cache_memory_bytes", "gpu_memory_utilization")
"""Parameters of engines that say themselves how large the cache is, whatever the context is."""


def shrunk(spec: ModelSpec, machine: Facts, capacity: Needs) -> ModelSpec | None:
    """The spec with the longest context that fits, no longer than it has now.

    None where none does, or where nothing tells what a context takes. spec: `prepared`.
    """
    now = context_of(spec, machine)
    if now is None:
        return None

    def fits(context: int) -> bool:
        asked = _with_context(spec, context)
        gets = context_of(asked, machine) or 0
        return gets >= context and not short_of(estimated_needs(asked, machine), capacity)

    wanted = spec.options.context_length or (spec.facts and spec.facts.context_trained)
    context = longest(max(now, wanted or MOST), fits)
    return None if context is None else _with_context(spec, context)


def insufficient(
    spec: ModelSpec, machine: Facts, needs: Needs, capacity: Needs
) -> InsufficientMemory:
    """needs: what it takes as it is. capacity: what there would be for it alone."""
    missing = short_of(needs, capacity)
    if METAL in missing:  # is of main memory, and the narrower of the two
        missing.pop(MAIN, None)
    places = " and ".join(
        f"{amount(needs[place])} of {_name(place)}, where models may take {amount(capacity[place])}"
        for place in missing or needs.keys() & capacity.keys()
    )
    fitting = shrunk(spec, machine, capacity)
    if fitting is not None:
        context = fitting.options.context_length
        advice = (
            f"It would fit with a context of up to {context} tokens: set its context_length to"
            " that, or shrink_context: true"
        )
    elif context_of(spec, machine) is None:
        advice = "Choose a smaller model" + _knob(missing)
    elif fixed := [name for name in FIXED_CACHE if name in spec.options.engine_args]:
        advice = f"Lower its engine_args.{fixed[0]}, or choose a smaller model" + _knob(missing)
    else:
        advice = (
            "No context is short enough for it to fit: choose a smaller or more strongly quantised"
            " model" + _knob(missing)
        )
    return InsufficientMemory(f"the model {spec.id} needs {places}. {advice}")


def amount(size: int) -> str:
    """Bytes for people: "4.0 GiB", "512 MiB"."""
    if abs(size) < GIB:
        return f"{max(0, size) / MIB:.0f} MiB"
    return f"{size / GIB:.1f} GiB"


def _with_context(spec: ModelSpec, context: int) -> ModelSpec:
    options = msgspec.structs.replace(spec.options, context_length=context)
    return msgspec.structs.replace(spec, options=options)


def _name(place: str) -> str:
    names = {MAIN: "main memory", METAL: "memory for the GPU"}
    return names.get(place, f"the memory of GPU {place.partition(':')[2]}")


def _knob(missing: Needs) -> str:
    settings = ["MAX_CPU_MEMORY" if place == MAIN else "MAX_GPU_MEMORY" for place in missing]
    names = " and ".join(dict.fromkeys(settings))
    return f", free memory that other programs use, or raise {names} where that is set"
