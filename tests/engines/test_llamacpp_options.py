"""llama.cpp's start-up options."""

from __future__ import annotations

from typing import Any

import pytest

from tricorn.engines.llamacpp.options import MAX_DEFAULT_CONTEXT, kv_size, parked_bytes, parse
from tricorn.engines.spec import EngineOptions
from tricorn.errors import ModelLoadFailed

GIB = 1 << 30


def test_threads_come_from_the_machine_unless_given() -> None:
    """engine_args over the general option over the number of cores."""
    assert parse(EngineOptions(), cores=6).threads == 6
    assert parse(EngineOptions(threads=3), cores=6).threads_batch == 3
    given = parse(EngineOptions(threads=3, engine_args={"threads_batch": 5}), cores=6)
    assert (given.threads, given.threads_batch) == (3, 5)


def test_engine_args_are_taken_over() -> None:
    """Each under its own name."""
    options = parse(EngineOptions(engine_args={"type_k": "q8_0", "rope_freq_base": 1e6}), cores=1)
    assert (options.type_k, options.rope_freq_base) == ("q8_0", 1e6)


def test_an_unknown_option_names_the_nearest() -> None:
    """A typing error does not load a model that is not as configured."""
    with pytest.raises(ModelLoadFailed, match=r"'n_bach' here; did you mean n_batch\?"):
        parse(EngineOptions(engine_args={"n_bach": 1}), cores=1)
    with pytest.raises(ModelLoadFailed, match=r"'zzzz' here$"):
        parse(EngineOptions(engine_args={"zzzz": 1}), cores=1)


@pytest.mark.parametrize(
    "wrong", [{"n_batch": "512"}, {"type_k": "f12"}, {"use_mmap": 1}, {"flash_attn": True}]
)
def test_a_wrong_value_names_its_option(wrong: dict[str, Any]) -> None:
    """The error says which option it was."""
    with pytest.raises(ModelLoadFailed, match=next(iter(wrong))):
        parse(EngineOptions(engine_args=wrong), cores=1)


@pytest.mark.parametrize(
    ("context", "tokens", "trained", "per_token", "available", "expected"),
    [
        # plenty of memory: the trained context, and room for four
        (None, None, 2048, 1024, 64 * GIB, (2048, 8192)),
        # a long-context model: capped
        (None, None, 131072, 1024, 64 * GIB, (MAX_DEFAULT_CONTEXT, 4 * MAX_DEFAULT_CONTEXT)),
        # a quarter of the memory holds less than four contexts
        (None, None, 4096, GIB // 4096, 8 * GIB, (4096, 8192)),
        # … and less than one: the context shrinks to it
        (None, None, 16384, GIB // 4096, 4 * GIB, (4096, 4096)),
        # almost no memory: 512 is tried all the same
        (None, None, 4096, GIB, GIB, (512, 512)),
        # what is asked for is given, whatever the memory
        (8192, None, 2048, GIB, GIB, (8192, 8192)),
        # cells are whole blocks of 256; the context is what was asked for
        (1000, None, 2048, GIB, GIB, (1000, 1024)),
        (None, 300, 4096, 1024, 64 * GIB, (512, 512)),
        # a context cannot be longer than the cache
        (4096, 1024, 4096, 1024, 64 * GIB, (1024, 1024)),
        # unknown memory counts as 8 GiB
        (None, None, 4096, GIB // 1024, None, (2048, 2048)),
    ],
)
def test_size_of_the_cache(
    context: int | None,
    tokens: int | None,
    trained: int,
    per_token: int,
    available: int | None,
    expected: tuple[int, int],
) -> None:
    """(context of a sequence, cells of the cache)."""
    assert expected == kv_size(
        context, tokens, trained=trained, bytes_per_token=per_token, available_bytes=available
    )


def test_the_cpu_was_chosen() -> None:
    """A build with CUDA stays away from the GPU, unless engine_args say otherwise."""
    assert parse(EngineOptions(), cores=2, device="cuda").n_gpu_layers == -1
    on_cpu = parse(EngineOptions(), cores=2, device="cpu")
    assert (on_cpu.n_gpu_layers, on_cpu.offload_kqv) == (0, False)
    given = EngineOptions(engine_args={"n_gpu_layers": 8})
    assert parse(given, cores=2, device="cpu").n_gpu_layers == 8


def test_memory_for_parked_prefixes() -> None:
    """What is asked for, in MiB; else a sixteenth of the memory there is, 8 GiB at most."""
    assert parked_bytes(3, available_bytes=1 << 30) == 3 << 20
    assert parked_bytes(0, available_bytes=1 << 30) == 0
    assert parked_bytes(None, available_bytes=32 << 30) == 2 << 30
    assert parked_bytes(None, available_bytes=1 << 50) == 8 << 30
    assert parked_bytes(None, available_bytes=None) == 512 << 20


@pytest.mark.parametrize(
    ("given", "shorter"),
    [({}, None), ({"matryoshka": True}, ()), ({"matryoshka": [64, 128]}, (64, 128))],
)
def test_pooling(given: dict[str, Any], shorter: tuple[int, ...] | None) -> None:
    """How to pool is one of llama.cpp's words; the lengths of vectors are none, any, or a list."""
    chosen = parse(EngineOptions(engine_args={"pooling_type": "mean", **given}), cores=1)
    assert (chosen.pooling_type, chosen.shorter_dimensions()) == ("mean", shorter)
    with pytest.raises(ModelLoadFailed, match="pooling_type"):
        parse(EngineOptions(engine_args={"pooling_type": "max"}), cores=1)
