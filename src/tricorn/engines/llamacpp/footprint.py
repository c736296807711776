"""What llama.cpp will take of memory for a model. Pure.

The constants were measured on Linux x86-64 with llama-cpp-python 0.3.36, as the proportional set
size of a process with one engine, after prompts in all its slots, of a copy of each file that no
other process had open. In MiB, of SmolLM2-135M (vocabulary of 49,152):

    Q4_1, 1,024 cells of f16     185 = weights  92 + cache  23 + 70
    Q4_1, 16,384 cells of f16    531 = weights  92 + cache 360 + 79
    Q4_1, 16,384 cells of q8_0   342 = weights  92 + cache 191 + 59 (before any prompt)
    f32, 2,048 cells of f16      626 = weights 513 + cache  45 + 68

and of all-MiniLM-L6-v2 (30,522) 129 = 86 + 43. A process that has only imported llama.cpp takes 41.
"""

from __future__ import annotations

from tricorn.engines.llamacpp import options as llama_options
from tricorn.engines.llamacpp.options import LlamaOptions
from tricorn.engines.spec import EngineOptions
from tricorn.model_facts.estimate import Estimate, Memory
from tricorn.model_facts.facts import FileFacts, cache_bytes_per_token
from tricorn.model_facts.gguf_types import bytes_per_number

MIB = 1 << 20

PROCESS = 42 * MIB
"""Python, the worker and llama.cpp's libraries."""
GPU_PROCESS = 400 * MIB
"""CUDA's context and kernels; not measured here, a common figure."""
BYTES_PER_WORD = 400
"""Of the vocabulary, with its merges and the tables to find them by."""
NUMBER = 4
"""Bytes of what steps compute with."""
ACTIVATIONS = 8
"""Vectors of the model's width that a step has for each token at a time."""


def estimate(
    facts: FileFacts, options: EngineOptions, *, device: str, memory: Memory
) -> Estimate | None:
    """None where the file does not tell enough. ModelLoadFailed where the options are wrong."""
    if facts.width is None or facts.cache is None:
        return None
    chosen = llama_options.parse(options, cores=1, device=device)
    if facts.kind != "text" or chosen.pooling_type is not None:
        context, cells, sequences, step = _pooling(facts, options, chosen)
    else:
        context, cells = llama_options.kv_size(
            options.context_length,
            chosen.kv_tokens,
            trained=facts.context_trained or llama_options.MAX_DEFAULT_CONTEXT,
            bytes_per_token=bytes_per_token(facts, chosen),
            available_bytes=memory.available,
        )
        sequences = options.max_num_seqs or llama_options.DEFAULT_MAX_NUM_SEQS
        step = chosen.n_ubatch
    words = facts.vocabulary or 0
    # Logits are there for a sequence each; on a GPU for a whole step, whether they are wanted or
    # not, since what is set aside there is taken.
    on_gpu = device in ("cuda", "metal") and chosen.n_gpu_layers != 0
    rows = step if on_gpu else sequences
    parked = llama_options.parked_bytes(chosen.cache_ram, available_bytes=memory.available)
    weights = facts.weight_bytes
    kv_cache = cells * bytes_per_token(facts, chosen) + sequences * facts.state_bytes
    process = PROCESS + words * BYTES_PER_WORD
    beside = device == "cuda" and on_gpu
    host_weights, host_cache = _off_the_gpu(facts, chosen, kv_cache) if beside else (0, 0)
    return Estimate(
        weights=weights - host_weights,
        kv_cache=kv_cache - host_cache,
        compute=NUMBER * (step * facts.width * ACTIVATIONS + rows * words),
        overhead=GPU_PROCESS if beside else process,
        context_length=context,
        growth=parked if facts.kind == "text" else 0,
        host=process + host_weights + host_cache if beside else 0,
    )


def _off_the_gpu(facts: FileFacts, chosen: LlamaOptions, kv_cache: int) -> tuple[int, int]:
    """(weights, cache) that stay in main memory: of layers that are kept off the GPU, and the table
    of token embeddings, in which rows are only looked up."""
    kept = facts.embedding_bytes
    layers = facts.layers or 0
    share = 0.0
    if 0 < chosen.n_gpu_layers < layers:
        share = 1 - chosen.n_gpu_layers / layers
        kept += round((facts.weight_bytes - kept) * share)
    return kept, round(kv_cache * share) if chosen.offload_kqv else kv_cache


def bytes_per_token(facts: FileFacts, chosen: LlamaOptions) -> int:
    """Of the KV cache, all layers together. llama.cpp gives those with a window room for all."""
    return cache_bytes_per_token(
        facts,
        key_bytes=bytes_per_number(chosen.type_k) or 2.0,
        value_bytes=bytes_per_number(chosen.type_v) or 2.0,
    )


def _pooling(
    facts: FileFacts, options: EngineOptions, chosen: LlamaOptions
) -> tuple[int, int, int, int]:
    """(context, cells, sequences, tokens of a step) of a model that makes vectors."""
    context = llama_options.pooling_context(options.context_length, facts.context_trained)
    tokens = max(context, chosen.n_batch)
    sequences = options.max_num_seqs or llama_options.DEFAULT_POOLING_SEQS
    return context, -(-tokens // 256) * 256, sequences, tokens
