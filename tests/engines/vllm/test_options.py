"""vLLM's start-up parameters."""

from __future__ import annotations

import pytest

from tricorn.engines.spec import Adapter, Binding, EngineOptions
from tricorn.engines.vllm.options import (
    AUTO_CONTEXT,
    BIND,
    GIB,
    IN_THE_CORE,
    UNBOUND,
    cache_size_note,
    cores,
    engine_args,
    environment,
    plain,
    without_adapters,
)
from tricorn.errors import ModelLoadFailed
from tricorn.hardware.facts import Facts

KNOWN = ["model", "max_model_len", "max_num_seqs", "max_num_batched_tokens", "enforce_eager"]


def test_general_options_have_vllms_names() -> None:
    """context_length, max_num_seqs and prefill_budget; the budget leaves room for decoding."""
    options = EngineOptions(context_length=2048, max_num_seqs=8, prefill_budget=256)
    args = engine_args(options, "/models/m", KNOWN, on_cpu=False)
    assert args["model"] == "/models/m"
    assert (args["max_model_len"], args["max_num_seqs"]) == (2048, 8)
    assert args["max_num_batched_tokens"] == 264
    assert "enforce_eager" not in args


def test_what_is_not_given_is_vllms_choice() -> None:
    """The longest context that fits, and nothing about batches."""
    args = engine_args(EngineOptions(), "m", KNOWN, on_cpu=False)
    assert args["max_model_len"] == AUTO_CONTEXT
    assert {"max_num_seqs", "max_num_batched_tokens"} & args.keys() == set()


def test_engine_args_win() -> None:
    """Over the general options and over our own defaults."""
    options = EngineOptions(
        context_length=2048, engine_args={"max_model_len": 512, "enforce_eager": False}
    )
    args = engine_args(options, "m", KNOWN, on_cpu=True)
    assert (args["max_model_len"], args["enforce_eager"]) == (512, False)


def test_requests_have_priorities_unless_the_policy_is_given() -> None:
    """vLLM's own default would pass them over."""
    args = engine_args(EngineOptions(), "m", KNOWN, on_cpu=False)
    assert args["scheduling_policy"] == "priority"
    given = EngineOptions(engine_args={"scheduling_policy": "fcfs"})
    args = engine_args(given, "m", [*KNOWN, "scheduling_policy"], on_cpu=False)
    assert args["scheduling_policy"] == "fcfs"


def test_sleep_mode_is_on_where_there_is_one() -> None:
    """Unless it is left out by name."""
    given = EngineOptions(engine_args={"enable_sleep_mode": False})
    known = [*KNOWN, "enable_sleep_mode"]
    assert "enable_sleep_mode" not in engine_args(EngineOptions(), "m", known, on_cpu=False)
    for options, expected in ((EngineOptions(), True), (given, False)):
        args = engine_args(options, "m", known, on_cpu=False, can_sleep=True)
        assert args["enable_sleep_mode"] is expected


def test_on_the_cpu_nothing_is_compiled() -> None:
    """It would take minutes at every start."""
    assert engine_args(EngineOptions(), "m", KNOWN, on_cpu=True)["enforce_eager"] is True


LORA = ["enable_lora", "max_lora_rank", "max_loras", "max_cpu_loras"]


def lora(*ranks: int, **given: object) -> dict[str, object]:
    """What is set of it for adapters of these ranks."""
    adapters = [Adapter(f"{rank}", "", rank, 1) for rank in ranks]
    options = EngineOptions(engine_args=given)
    args = engine_args(options, "m", KNOWN + LORA, on_cpu=False, adapters=adapters)
    return {name: args[name] for name in LORA if name in args}


@pytest.mark.parametrize(
    ("ranks", "room"), [((4,), 16), ((16, 8), 16), ((17,), 32), ((8, 300), 320), ((1000,), 512)]
)
def test_room_for_adapters(ranks: tuple[int, ...], room: int) -> None:
    """For the largest rank, in the steps that vLLM knows."""
    expected = {"enable_lora": True, "max_lora_rank": room, "max_loras": 4, "max_cpu_loras": 16}
    assert lora(*ranks) == expected


def test_room_for_adapters_as_it_is_given() -> None:
    """engine_args go before; without adapters there is room only where it is asked for."""
    assert lora() == {}
    assert lora(8, enable_lora=False) == {"enable_lora": False}
    assert lora(enable_lora=True)["max_lora_rank"] == 16
    given = lora(8, max_lora_rank=64, max_loras=20)
    assert given == {
        "enable_lora": True, "max_lora_rank": 64, "max_loras": 20, "max_cpu_loras": 20
    }  # fmt: skip
    assert without_adapters({"model": "m"} | given) == {"model": "m"}


def test_an_unknown_name_gets_the_nearest() -> None:
    """A typing error does not load a model that is not as configured."""
    wrong = EngineOptions(engine_args={"max_model_length": 1})
    with pytest.raises(ModelLoadFailed, match=r"'max_model_length'; did you mean max_model_len"):
        engine_args(wrong, "m", KNOWN, on_cpu=False)
    with pytest.raises(ModelLoadFailed, match=r"'zzz'$"):
        engine_args(EngineOptions(engine_args={"zzz": 1}), "m", KNOWN, on_cpu=False)


def test_the_environment_of_the_user_wins() -> None:
    """What is set already is not set again."""
    wanted = environment(EngineOptions(threads=3), {"HF_HUB_OFFLINE": "0"})
    assert "HF_HUB_OFFLINE" not in wanted
    assert wanted["VLLM_WORKER_MULTIPROC_METHOD"] == "spawn"
    assert wanted["OMP_NUM_THREADS"] == "3"
    assert wanted[BIND] == UNBOUND


def test_unasked_threads_are_as_many_as_cores() -> None:
    """Where those are not known, neither the threads' number nor their cores are set."""
    wanted = environment(EngineOptions(), {}, cores=6)
    assert (wanted["OMP_NUM_THREADS"], wanted[BIND]) == ("6", UNBOUND)
    assert environment(EngineOptions(threads=2), {}, cores=6)["OMP_NUM_THREADS"] == "2"
    assert {"OMP_NUM_THREADS", BIND} & environment(EngineOptions(), {}).keys() == set()


@pytest.mark.parametrize(
    ("device", "nodes", "binding", "found"),
    [
        ("cpu", 1, Binding(), 6),
        ("cpu", None, Binding(), 6),
        ("cpu", 2, Binding(), None),
        ("cpu", 2, Binding(numa_node=1), 6),
        ("cuda", 1, Binding(), None),
        ("cuda", 1, Binding(cpus=(0, 1)), 6),
    ],
)
def test_cores(device: str, nodes: int | None, binding: Binding, found: int | None) -> None:
    """All of them, but not across NUMA nodes, and not beside a GPU; what it is bound to counts."""
    assert cores(binding, device, Facts(physical_cores=6, numa_nodes=nodes)) == found


@pytest.mark.parametrize(
    ("given", "in_the_core"),
    [
        ({}, True),
        ({"tensor_parallel_size": 1}, True),
        ({"tensor_parallel_size": 2}, False),
        ({"data_parallel_size": 2}, False),
    ],
)
def test_on_the_cpu_the_core_computes(given: dict[str, object], *, in_the_core: bool) -> None:
    """Without a process beside it, unless vLLM binds threads or is to have several."""
    known = [*KNOWN, *given]
    options = EngineOptions(engine_args=given)
    unbound = engine_args(options, "m", known, on_cpu=True, binds_threads=False)
    assert (unbound.get("distributed_executor_backend") == IN_THE_CORE) is in_the_core
    for others in ({"on_cpu": True}, {"on_cpu": False, "binds_threads": False}):
        args = engine_args(options, "m", known, **others)
        assert "distributed_executor_backend" not in args


@pytest.mark.parametrize(
    ("available", "gib"), [(None, 1), (2 * GIB, 1), (20 * GIB, 2.5), (512 * GIB, 4)]
)
def test_kv_memory_on_the_cpu(available: int | None, gib: float) -> None:
    """An eighth of what is available, between 1 and 4 GiB."""
    args = engine_args(EngineOptions(), "m", KNOWN, on_cpu=True, memory_available=available)
    assert args["kv_cache_memory_bytes"] == gib * GIB


def test_messages_become_one_line() -> None:
    """Without pydantic's types and links."""
    text = (
        "1 validation error for ModelConfig\ndtype\n  Value error, no such dtype "
        "[type=value_error, input_value='x', input_type=str]\n"
        "    For further information visit https://errors.pydantic.dev/2/v/value_error"
    )
    assert plain(text) == "1 validation error for ModelConfig dtype Value error, no such dtype"


def test_the_prefix_cache_can_be_turned_off() -> None:
    """ENABLE_CACHING; the engine's own argument goes before it."""
    off = EngineOptions(prefix_cache=False)
    assert engine_args(off, "m", KNOWN, on_cpu=False)["enable_prefix_caching"] is False
    assert "enable_prefix_caching" not in engine_args(EngineOptions(), "m", KNOWN, on_cpu=False)
    own = EngineOptions(prefix_cache=False, engine_args={"enable_prefix_caching": True})
    args = engine_args(own, "m", [*KNOWN, "enable_prefix_caching"], on_cpu=False)
    assert args["enable_prefix_caching"] is True


def test_a_cache_size_is_told_to_mean_nothing() -> None:
    """vLLM's cache has no sequences; nothing is passed over in silence."""
    assert cache_size_note(None) == {}
    assert "has no meaning here" in cache_size_note(3)["cache_size"]
    args = engine_args(EngineOptions(cache_size=3), "m", KNOWN, on_cpu=False)
    assert not any(value == 3 for value in args.values())
