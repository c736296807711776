"""The facts of a model that llama.cpp has in memory."""

from __future__ import annotations

import sys
from pathlib import Path

from tricorn.engines.chat_templates import TOOL_USE
from tricorn.engines.llamacpp.binding import Context, Model
from tricorn.engines.llamacpp.options import LlamaOptions
from tricorn.engines.spec import EngineCapabilities, LoadedModel


def loaded_model(
    model: Model,
    context: Context,
    chosen: LlamaOptions,
    *,
    context_length: int,
    max_running: int,
    prefill_budget: int,
    parked_bytes: int,
    kept: int | None = None,
    eye: str | None = None,
    sees: bool = False,
) -> LoadedModel:
    """parked_bytes: what parked prefixes may take of main memory.

    kept: ended sequences whose prefixes are kept; None: as many as fit.

    eye: its mmproj file and why it is not used, if so; sees: it is used.
    """
    fill_tokens = model.fill_tokens()
    return LoadedModel(
        context_length=context_length,
        vocab_size=model.vocab_size,
        max_num_seqs=max_running,
        capabilities=EngineCapabilities(
            constraints=True,
            prompt_logprobs=True,
            fill_in_middle=fill_tokens is not None,
            vision=sees,
            thinking_budget=True,
        ),
        chat_template=model.template(),
        tool_template=model.template(TOOL_USE),
        bos_token=model.special_token("bos"),
        eos_token=model.special_token("eos"),
        adds_bos=model.adds_bos(),
        memory_bytes=resident_bytes(),
        details={
            **model.identity(),
            "threads": chosen.threads,
            "kv_tokens": context.cells,
            "kv_type": f"{chosen.type_k}/{chosen.type_v}",
            "flash_attn": chosen.flash_attn,
            "n_batch": chosen.n_batch,
            "prefill_budget": prefill_budget,
            "n_gpu_layers": chosen.n_gpu_layers,
            "cache_ram_mib": parked_bytes >> 20,
            "prefix_caching": kept != 0,
            "cache_size": kept,
            "shares_prefixes": model.shares_prefixes,
            "mmproj": eye,
        },
        fill_tokens=fill_tokens,
    )


def resident_bytes() -> int | None:
    """This process's proportional set size; None where the system does not tell."""
    if sys.platform != "linux":
        return None
    for line in Path("/proc/self/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return None
