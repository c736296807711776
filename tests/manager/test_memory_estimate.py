"""Tests of `tricorn.manager.memory.estimate` and the engines' `footprint` modules."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tricorn.engines.spec import EngineOptions
from tricorn.hardware.facts import Facts, NvidiaGpu
from tricorn.manager.memory.estimate import estimate, memory_of
from tricorn.model_facts.estimate import Estimate, Memory
from tricorn.model_facts.facts import CacheLayers, FileFacts

MIB, GIB = 1 << 20, 1 << 30
SMOL = FileFacts(
    parameters=134_515_008,
    quantisation="Q4_1",
    context_trained=8192,
    layers=30,
    width=576,
    heads=9,
    vocabulary=49152,
    cache=(CacheLayers(30, 192, 192),),
    weight_bytes=96_576_768,
)
PER_TOKEN = 30 * 2 * 192 * 2
"""Bytes, of f16."""
PLAIN = msgspec.structs.replace(
    SMOL, quantisation="BF16", number_type="bfloat16", weight_bytes=269_030_016
)
LARGE = Memory(available=64 * GIB)


def estimated(
    facts: FileFacts,
    engine: str,
    device: str = "cpu",
    memory: Memory = LARGE,
    *,
    context_length: int | None = None,
    **args: Any,
) -> Estimate:
    options = EngineOptions(context_length=context_length, max_num_seqs=4, engine_args=args)
    found = estimate(facts, options, engine, device, memory)
    assert found is not None
    return found


# --- llama.cpp ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("context", "args", "cells", "number"),
    [
        (None, {}, 4 * 8192, 2),
        (1000, {}, 4096, 2),
        (1024, {"kv_tokens": 1024}, 1024, 2),
        (1024, {"kv_tokens": 1024, "type_k": "q8_0", "type_v": "q8_0"}, 1024, 34 / 32),
        (1024, {"kv_tokens": 1024, "type_k": "f32"}, 1024, 3),
    ],
)
def test_llamacpp_cache(
    context: int | None, args: dict[str, Any], cells: int, number: float
) -> None:
    """As many cells as the engine makes, shared by all sequences, of the numbers asked for."""
    found = estimated(SMOL, "llamacpp", context_length=context, **args)
    assert found.kv_cache == cells * round(30 * 2 * 192 * number)
    assert found.weights == SMOL.weight_bytes
    assert found.total == found.weights + found.kv_cache + found.compute + found.overhead


@pytest.mark.parametrize(("cells", "measured"), [(1024, 185), (16384, 531)])
def test_llamacpp_as_measured(cells: int, measured: int) -> None:
    """What the module says that was measured, in MiB."""
    found = estimated(SMOL, "llamacpp", context_length=1024, kv_tokens=cells)
    assert 0.9 * measured < found.total / MIB < 1.1 * measured


def test_llamacpp_states() -> None:
    """Of recurrent layers, one for each sequence, however long it is."""
    recurrent = msgspec.structs.replace(SMOL, cache=(), state_bytes=1000)
    assert estimated(recurrent, "llamacpp").kv_cache == 4 * 1000
    assert estimated(recurrent, "llamacpp", context_length=8192).kv_cache == 4 * 1000


def test_llamacpp_on_a_gpu() -> None:
    """What is on the card and what is beside it; a model kept off it takes main memory only."""
    card = estimated(SMOL, "llamacpp", "cuda")
    assert card.host > 0
    assert card.compute > estimated(SMOL, "llamacpp").compute
    assert estimated(SMOL, "llamacpp", "cuda", n_gpu_layers=0).host == 0


def test_llamacpp_vectors() -> None:
    """An encoder keeps nothing of a text; a decoder has room for the longest one."""
    encoder = msgspec.structs.replace(SMOL, kind="embedding", cache=(), context_trained=512)
    found = estimated(encoder, "llamacpp")
    assert (found.kv_cache, found.context_length, found.growth) == (0, 512, 0)
    decoder = msgspec.structs.replace(SMOL, kind="embedding", context_trained=None)
    assert estimated(decoder, "llamacpp").kv_cache == 8192 * PER_TOKEN


def test_llamacpp_growth() -> None:
    """Parked prefixes take more later."""
    assert estimated(SMOL, "llamacpp", cache_ram=100).growth == 100 * MIB


# --- MLX and vLLM -------------------------------------------------------------------------------


def test_mlx() -> None:
    """One sequence of the full context, of the weights' numbers; the rest may come later."""
    found = estimated(PLAIN, "mlx", context_length=1000)
    assert found.kv_cache == 1024 * PER_TOKEN
    assert found.context_length == 1000
    assert found.growth > 30 * GIB
    single = estimated(PLAIN, "mlx", context_length=1000, dtype="float32")
    assert (single.weights, single.kv_cache) == (2 * found.weights, 2 * found.kv_cache)


def test_mlx_as_measured() -> None:
    """After a load of the float32 folder, in MiB."""
    found = estimated(
        msgspec.structs.replace(PLAIN, number_type="float32", weight_bytes=538_060_032), "mlx"
    )
    assert 0.9 * 639 < (found.weights + found.overhead) / MIB < 1.1 * 639


def test_mlx_without_room() -> None:
    """Weights that leave none have no context, and still an estimate."""
    found = estimated(PLAIN, "mlx", memory=Memory(available=PLAIN.weight_bytes))
    assert (found.context_length, found.growth) == (0, 0)


def test_vllm_on_the_cpu() -> None:
    """Its KV cache has a size of its own, and the context what fits into it."""
    found = estimated(PLAIN, "vllm", memory=Memory(available=16 * GIB))
    assert found.kv_cache == 2 * GIB
    assert found.context_length == 8192
    small = estimated(PLAIN, "vllm", kv_cache_memory_bytes=1000 * PER_TOKEN)
    assert (small.kv_cache, small.context_length) == (1000 * PER_TOKEN, 1000)
    asked = estimated(PLAIN, "vllm", context_length=100)
    assert asked.context_length == 100


def test_vllm_as_measured() -> None:
    """On the CPU, of the float32 folder, in MiB: in the engine core, or in a process beside it."""
    facts = msgspec.structs.replace(
        PLAIN, number_type="float32", quantisation="F32", weight_bytes=538_060_032
    )
    found = estimated(facts, "vllm", kv_cache_memory_bytes=256 * MIB)
    assert 0.95 * 1858 < found.total / MIB < 1.05 * 1858
    given = {"kv_cache_memory_bytes": 256 * MIB, "distributed_executor_backend": "mp"}
    assert 0.95 * 2282 < estimated(facts, "vllm", **given).total / MIB < 1.05 * 2282
    assert 0.99 * 11648 * PER_TOKEN < found.kv_cache < 1.01 * 11648 * PER_TOKEN


@pytest.mark.parametrize(
    ("number_type", "args", "factor"),
    [
        ("float32", {}, 0.5),
        ("float32", {"dtype": "float32"}, 1),
        ("bfloat16", {"dtype": "float"}, 2),
        ("bfloat16", {}, 1),
    ],
)
def test_vllm_weights(number_type: str, args: dict[str, Any], factor: float) -> None:
    """They are converted to what it computes with."""
    quantisation = {"float32": "F32", "bfloat16": "BF16"}[number_type]
    facts = msgspec.structs.replace(PLAIN, number_type=number_type, quantisation=quantisation)
    assert estimated(facts, "vllm", **args).weights == PLAIN.weight_bytes * factor
    packed = msgspec.structs.replace(facts, quantisation="awq-4bit")
    assert estimated(packed, "vllm", **args).weights == PLAIN.weight_bytes


def test_vllm_on_a_gpu() -> None:
    """It takes its share of the card; more weights leave less for the cache."""
    card = Memory(available=64 * GIB, device=24 * GIB)
    found = estimated(PLAIN, "vllm", "cuda", card)
    assert found.total == pytest.approx(0.92 * 24 * GIB, abs=2)
    assert found.host > 0
    half = estimated(PLAIN, "vllm", "cuda", card, gpu_memory_utilization=0.5)
    assert half.total == pytest.approx(12 * GIB, abs=2)
    assert estimate(PLAIN, EngineOptions(), "vllm", "cuda", Memory()) is None


# --- all of them --------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["llamacpp", "mlx", "vllm"])
def test_what_is_not_known_is_not_estimated(engine: str) -> None:
    """Neither from files that do not tell, nor with options that the engine refuses."""
    assert estimate(FileFacts(), EngineOptions(), engine, "cpu", LARGE) is None
    wrong = EngineOptions(engine_args={"no_such_option": 1})
    if engine != "vllm":  # whose names only vLLM knows
        assert estimate(SMOL, wrong, engine, "cpu", LARGE) is None


def test_fakes() -> None:
    """What their knobs say, whatever the files are."""
    found = estimated(FileFacts(), "fake", memory_bytes=100, token_bytes=2, context_length=256)
    assert (found.total, found.context_length) == (612, 256)
    assert estimated(FileFacts(), "fake", memory_bytes=100).total == 100


def test_an_engine_that_takes_nothing() -> None:
    """The fake one, and none."""
    assert estimate(SMOL, EngineOptions(), "fake", "cpu", LARGE) is None
    assert estimate(SMOL, EngineOptions(), "", "", LARGE) is None


def test_memory_of_a_machine() -> None:
    """A limit counts where it is less than what is free; each device has its own."""
    gpu = NvidiaGpu("card", memory_total=24 * GIB, compute_capability=(8, 0))
    machine = Facts(
        memory_available=8 * GIB, memory_limit=4 * GIB, nvidia_gpus=(gpu,), apple_working_set=5
    )
    assert memory_of(machine, "llamacpp", "cpu") == Memory(4 * GIB)
    assert memory_of(machine, "vllm", "cuda") == Memory(4 * GIB, 24 * GIB)
    assert memory_of(machine, "mlx", "metal") == Memory(4 * GIB, 5)
    assert memory_of(Facts(), "llamacpp", "cpu") == Memory()
