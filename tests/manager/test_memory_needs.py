"""Tests of `tricorn.manager.memory.needs` and `tricorn.manager.memory.never_fits`."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tricorn.engines.spec import Adapter, Binding, EngineOptions, ModelSpec, Serving
from tricorn.hardware.facts import Facts, NvidiaGpu
from tricorn.manager.memory.ledger import short_of
from tricorn.manager.memory.needs import (
    context_of,
    estimated_needs,
    fingerprint,
    needs_of,
    prepared,
    settled_needs,
)
from tricorn.manager.memory.never_fits import amount, insufficient, shrunk
from tricorn.model_facts.facts import CacheLayers, FileFacts

MIB, GIB = 1 << 20, 1 << 30
SMOL = FileFacts(
    quantisation="BF16",
    number_type="bfloat16",
    context_trained=8192,
    layers=30,
    width=576,
    vocabulary=49152,
    cache=(CacheLayers(30, 192, 192),),
    weight_bytes=269_030_016,
)
BOX = Facts(memory_total=64 * GIB, memory_available=60 * GIB)
ROOM = {"main": 48 * GIB}


def card(size: int) -> NvidiaGpu:
    return NvidiaGpu("card", memory_total=size * GIB, compute_capability=(9, 0))


CARDS = Facts(memory_available=60 * GIB, nvidia_gpus=(card(24), card(8)))
MAC = Facts(memory_available=12 * GIB, apple_working_set=10 * GIB)


def model(
    engine: str = "llamacpp",
    device: str = "cpu",
    *,
    facts: FileFacts | None = SMOL,
    context_length: int | None = None,
    gpus: tuple[int, ...] | None = None,
    **engine_args: Any,
) -> ModelSpec:
    formats: dict[str, Literal["gguf", "mlx", "hf", "fake"]]
    formats = {"llamacpp": "gguf", "mlx": "mlx", "vllm": "hf", "fake": "fake"}
    return ModelSpec(
        "m",
        "/models/m",
        formats[engine],
        engine,
        "a test",
        0 if engine == "fake" else 300_000_000,
        1,
        EngineOptions(context_length=context_length, max_num_seqs=4, engine_args=engine_args),
        device=device,
        facts=facts,
        binding=Binding(gpus=gpus),
    )


def fake(**knobs: Any) -> ModelSpec:
    return model("fake", facts=None, **knobs)


# --- needs --------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["llamacpp", "mlx", "vllm"])
def test_on_the_cpu(engine: str) -> None:
    """All of it is main memory: weights, cache, and what the engine itself takes."""
    needs = needs_of(model(engine), BOX, {})
    assert needs.keys() == {"main"}
    assert needs["main"] > SMOL.weight_bytes + 8192 * 30 * 2 * 192 * 2


def test_on_apples_gpu() -> None:
    """It is main memory and the GPU's at the same time."""
    needs = needs_of(model("mlx", "metal"), MAC, {})
    assert needs["main"] == needs["metal"] > SMOL.weight_bytes


def test_llamacpp_on_gpus() -> None:
    """The layers are divided by what each card has; some things stay in main memory."""
    needs = needs_of(model(device="cuda"), CARDS, {})
    assert needs.keys() == {"main", "cuda:0", "cuda:1"}
    assert needs["cuda:0"] == pytest.approx(3 * needs["cuda:1"], rel=0.01)
    assert needs["main"] < 100 * MIB
    only = needs_of(model(device="cuda", gpus=(1,)), CARDS, {})
    assert only["cuda:1"] == pytest.approx(needs["cuda:0"] + needs["cuda:1"], abs=2)
    assert "cuda:0" not in only


def test_a_hidden_gpu() -> None:
    """It is used by what is bound to it only."""
    hiding = dataclasses.replace(CARDS, cuda_visible_devices="1")
    assert needs_of(model(device="cuda"), hiding, {}).keys() == {"main", "cuda:1"}
    assert needs_of(model(device="cuda", gpus=(0,)), hiding, {}).keys() == {"main", "cuda:0"}


def test_layers_kept_off_the_gpus() -> None:
    """They and their cache are main memory."""
    whole = needs_of(model(device="cuda", gpus=(0,)), CARDS, {})
    half = needs_of(model(device="cuda", gpus=(0,), n_gpu_layers=15), CARDS, {})
    kept = half["main"] - whole["main"]
    assert kept > SMOL.weight_bytes // 2
    assert half["cuda:0"] == pytest.approx(whole["cuda:0"] - kept, abs=2)
    off = needs_of(model(device="cuda", n_gpu_layers=0), CARDS, {})
    assert off.keys() == {"main"}
    cache_off = needs_of(model(device="cuda", gpus=(0,), offload_kqv=False), CARDS, {})
    cache = 4 * 8192 * 30 * 2 * 192 * 2
    assert cache_off["main"] - whole["main"] == whole["cuda:0"] - cache_off["cuda:0"] == cache
    table = msgspec.structs.replace(SMOL, embedding_bytes=50 * MIB)
    embedded = needs_of(model(device="cuda", gpus=(0,), facts=table), CARDS, {})
    assert embedded["main"] - whole["main"] == 50 * MIB


@pytest.mark.parametrize(
    ("engine_args", "gpus", "used"),
    [
        ({}, None, {"cuda:0": 24}),
        ({}, (1,), {"cuda:1": 8}),
        ({"tensor_parallel_size": 2}, None, {"cuda:0": 16, "cuda:1": 16}),
        ({"pipeline_parallel_size": 2}, None, {"cuda:0": 16, "cuda:1": 16}),
    ],
)
def test_vllm_on_gpus(
    engine_args: dict[str, int], gpus: tuple[int, ...] | None, used: dict[str, int]
) -> None:
    """Its share of as many cards as it computes on."""
    needs = needs_of(model("vllm", "cuda", gpus=gpus, **engine_args), CARDS, {})
    assert needs.pop("main") > GIB
    assert needs == {place: pytest.approx(0.92 * size * GIB, abs=4) for place, size in used.items()}


def test_a_gpu_that_is_part_of_the_chip() -> None:
    """No driver tells of a memory of its own: it is main memory."""
    assert needs_of(model(device="cuda"), Facts(board="NVIDIA Jetson"), {}).keys() == {"main"}


def test_files_that_tell_nothing() -> None:
    """Their size counts, and the engine."""
    unknown = model(facts=None)
    assert 360_000_000 < needs_of(unknown, BOX, {})["main"] < 600_000_000
    assert context_of(unknown, BOX) is None
    on_card = needs_of(model("vllm", "cuda", facts=FileFacts(), gpus=(0,)), Facts(), {})
    assert on_card["main"] > 3 * GIB


def test_fakes() -> None:
    """They take what their knobs say, or nothing."""
    assert needs_of(fake(), BOX, {}) == {"main": 0}
    assert needs_of(fake(memory_bytes=70), BOX, {}) == {"main": 70}
    known = fake(memory_bytes=70, token_bytes=2, context_length=512)
    assert needs_of(known, BOX, {}) == {"main": 70 + 1024}


# --- what is remembered -------------------------------------------------------------------------


def test_remembered() -> None:
    """The same load takes what it took; an engine that takes its cache later, no less than that."""
    spec = prepared(model(), BOX, ROOM)
    remembered = {fingerprint(spec, BOX): {"main": 123 * MIB}}
    assert needs_of(spec, BOX, remembered) == {"main": 123 * MIB}
    lazy = prepared(model("mlx"), BOX, ROOM)
    estimated = estimated_needs(lazy, BOX)
    assert needs_of(lazy, BOX, {fingerprint(lazy, BOX): {"main": 1}}) == estimated
    assert settled_needs(lazy, BOX, {"main": 40 * GIB}) == {"main": 40 * GIB}
    assert settled_needs(spec, BOX, {}) == estimated_needs(spec, BOX), "not measured"


@pytest.mark.parametrize(
    "change",
    [
        {"path": "/models/other"},
        {"size_bytes": 5},
        {"created": 2},
        {"engine": "mlx"},
        {"options": EngineOptions(context_length=1024)},
        {"options": EngineOptions(max_num_seqs=1)},
        {"options": EngineOptions(engine_args={"type_k": "q8_0"})},
        {"adapters": (Adapter("a", "/a", 8, 1),)},
        {"binding": Binding(env={"OMP_NUM_THREADS": "1"})},
    ],
)
def test_another_load(change: dict[str, Any]) -> None:
    """Whatever may take other memory is another load."""
    other = msgspec.structs.replace(model(), **change)
    assert fingerprint(other, BOX) != fingerprint(model(), BOX)


def test_the_same_load() -> None:
    """Neither its name, nor how it is served, nor what happens to be free makes another one."""
    spec = prepared(model(), BOX, {"main": 40 * GIB})
    again = prepared(model(), BOX, {"main": 40 * GIB + 300 * MIB})
    assert again == spec
    less = Facts(memory_total=64 * GIB, memory_available=20 * GIB)
    assert fingerprint(spec, less) == fingerprint(spec, BOX)
    served = msgspec.structs.replace(spec, id="n", serving=Serving(pinned=True), aliases=("x",))
    assert fingerprint(served, BOX) == fingerprint(spec, BOX)


# --- what an engine may count on ------------------------------------------------------------------


def test_prepared() -> None:
    """It is told how much models may take, in steps of a sixteenth or less; not what is free."""
    assert prepared(model(), BOX, {"main": 48 * GIB}).options.memory == 48 * GIB
    memory = prepared(model(), BOX, {"main": 50 * GIB + 1}).options.memory
    assert memory is not None
    assert 50 * GIB * 15 / 16 < memory <= 50 * GIB
    assert prepared(model(), BOX, {}).options.memory is None
    assert prepared(model(), BOX, {"main": -1}).options.memory is None


def test_a_cache_that_the_engine_sizes() -> None:
    """A tight budget makes it smaller, however much is free."""
    small, large = ({"main": size * GIB} for size in (1, 48))
    assert (
        estimated_needs(prepared(model(), BOX, small), BOX)["main"]
        < estimated_needs(prepared(model(), BOX, large), BOX)["main"]
    )


def test_vllm_takes_no_more_than_models_may() -> None:
    """Unasked; a user's own share is left as it is."""
    tight = {"main": 48 * GIB, "cuda:0": 12 * GIB}
    spec = prepared(model("vllm", "cuda"), CARDS, tight)
    assert spec.options.engine_args == {"gpu_memory_utilization": 0.5}
    assert not short_of(needs_of(spec, CARDS, {}), tight)
    own = model("vllm", "cuda", gpu_memory_utilization=0.7)
    assert prepared(own, CARDS, tight).options.engine_args == {"gpu_memory_utilization": 0.7}
    wide = {"cuda:0": 23 * GIB}
    assert prepared(model("vllm", "cuda"), CARDS, wide).options.engine_args == {}
    assert prepared(model(device="cuda"), CARDS, tight).options.engine_args == {}


# --- what can never fit ---------------------------------------------------------------------------


def test_shrunk() -> None:
    """The longest context that fits, and not a step more."""
    spec = fake(memory_bytes=1000, token_bytes=10)
    found = shrunk(spec, BOX, {"main": 1000 + 10 * 1024 + 7})
    assert found is not None
    assert found.options.context_length == 1024
    assert found == msgspec.structs.replace(spec, options=found.options)
    assert shrunk(spec, BOX, {"main": 1000 + 10 * 255}) is None
    assert shrunk(model(facts=None), BOX, ROOM) is None


@settings(max_examples=60, deadline=None)
@given(
    capacity=st.integers(0, 4 * GIB),
    engine=st.sampled_from(["llamacpp", "mlx", "vllm"]),
    wanted=st.one_of(st.none(), st.integers(16, 8192)),
)
def test_what_is_shrunk_fits(capacity: int, engine: str, wanted: int | None) -> None:
    """Whatever there is; and no model gets a longer context by it than it asked for."""
    room = {"main": capacity}
    spec = prepared(model(engine, context_length=wanted), BOX, room)
    found = shrunk(spec, BOX, room)
    if found is not None:
        assert not short_of(needs_of(found, BOX, {}), room)
        assert context_of(found, BOX) == found.options.context_length
        assert (found.options.context_length or 0) <= (wanted or 8192)


def test_on_a_card_that_is_too_small() -> None:
    """The card counts, not main memory."""
    room = {"main": 48 * GIB, "cuda:0": 900 * MIB}
    spec = prepared(model(device="cuda", gpus=(0,)), CARDS, room)
    needs = needs_of(spec, CARDS, {})
    assert short_of(needs, room).keys() == {"cuda:0"}
    found = shrunk(spec, CARDS, room)
    assert found is not None
    assert 0 < (found.options.context_length or 0) < 8192
    error = insufficient(spec, CARDS, needs, room)
    assert "of the memory of GPU 0, where models may take 900 MiB" in error.message


def test_the_error() -> None:
    """Needed, there, the longest context that would fit, and what to change."""
    spec = fake(memory_bytes=4 * GIB, token_bytes=MIB)
    error = insufficient(spec, BOX, needs_of(spec, BOX, {}), {"main": 5 * GIB})
    assert error.status == 507
    assert error.message == (
        "the model m needs 8.0 GiB of main memory, where models may take 5.0 GiB. It would fit with"
        " a context of up to 1024 tokens: set its context_length to that, or shrink_context: true"
    )
    none = insufficient(spec, BOX, needs_of(spec, BOX, {}), {"main": 4 * GIB})
    assert none.message.endswith(
        "No context is short enough for it to fit: choose a smaller or more strongly quantised"
        " model, free memory that other programs use, or raise MAX_CPU_MEMORY where that is set"
    )
    unknown = model(facts=None)
    assert "4.0 GiB of main memory" in insufficient(fake(), BOX, {"main": 4 * GIB}, ROOM).message
    fixed = model(kv_tokens=8192)
    cache = insufficient(fixed, BOX, needs_of(fixed, BOX, {}), {"main": 400 * MIB})
    assert "400 MiB. Lower its engine_args.kv_tokens, or choose a smaller model" in cache.message
    asked = insufficient(unknown, BOX, needs_of(unknown, BOX, {}), {"main": GIB // 4})
    assert "may take 256 MiB. Choose a smaller model, free memory" in asked.message


def test_the_error_on_a_mac() -> None:
    """The GPU's share is the narrower one, and the one to name."""
    spec = model("mlx", "metal")
    room = {"main": 200 * MIB, "metal": 100 * MIB}
    error = insufficient(spec, MAC, needs_of(spec, MAC, {}), room)
    assert "of memory for the GPU, where models may take 100 MiB" in error.message
    assert "main memory" not in error.message
    assert "MAX_GPU_MEMORY" in error.message


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 MiB"), (-5, "0 MiB"), (GIB - 1, "1024 MiB"), (GIB, "1.0 GiB")]
)
def test_amounts(size: int, text: str) -> None:
    assert amount(size) == text
