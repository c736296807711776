"""vLLM's start-up parameters: `engine_args` over defaults from the general options. Pure.

Everything that `AsyncEngineArgs` knows can be given under its own name; names that it does not know
are refused with the nearest ones that it does.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tricorn.engines.spec import Adapter, Binding, EngineOptions
from tricorn.errors import ModelLoadFailed

if TYPE_CHECKING:
    from tricorn.hardware.facts import Facts

GIB = 1 << 30
MAX_DEFAULT_KV_BYTES = 4 * GIB
ADAPTER_RANKS = (16, 32, 64, 128, 256, 320, 512)
"""What vLLM can make room for, from its default on."""
ADAPTERS_IN_A_BATCH = 4
"""Each takes device memory for a whole adapter of the largest rank, used or not."""
ADAPTERS_IN_MEMORY = 16
"""Main memory, taken as they are used."""
AUTO_CONTEXT = -1
"""vLLM's word for: as long as the model and the memory allow."""
IN_THE_CORE = "vllm.v1.executor.uniproc_executor.UniProcExecutor"
"""The executor that computes in the engine core's process. By its path: what vLLM calls `uni` it
turns into a process of its own on the CPU, which it needs for binding threads to cores. While that
one computes the core spins beside it, which took up to a third of the throughput of two cores."""
BIND, UNBOUND = "VLLM_CPU_OMP_THREADS_BIND", "nobind"


def engine_args(
    options: EngineOptions,
    model: str,
    known: Collection[str],
    *,
    on_cpu: bool,
    binds_threads: bool = True,
    can_sleep: bool = False,
    memory_available: int | None = None,
    adapters: Sequence[Adapter] = (),
    thoughts: tuple[str, str] | None = None,
) -> dict[str, Any]:
    """What `AsyncEngineArgs` is made from. ModelLoadFailed names what it does not know.

    known: the names of its fields.
    adapters: that there is to be room for.
    on_cpu: this build of vLLM computes on the CPU.
    binds_threads: vLLM binds its threads to cores there.
    can_sleep: this platform has vLLM's sleep mode, by which a model is parked.
    memory_available: bytes of main memory; None where that is unknown.
    thoughts: what they begin and end with, where the model's template knows some.
    """
    for name in options.engine_args:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=3)
            hint = f"; did you mean {' or '.join(near)}?" if near else ""
            raise ModelLoadFailed(f"engine_args: vLLM has no start-up parameter {name!r}{hint}")
    args: dict[str, Any] = {
        "model": model,
        "max_model_len": options.context_length or AUTO_CONTEXT,
        # A request means the same on every engine: all of them compile constraints by llguidance.
        "structured_outputs_config": {"backend": "guidance"},
        "scheduling_policy": "priority",
        # Ours is given instead of its loggers; see `stats`.
        "disable_log_stats": True,
    }
    if on_cpu:
        # Compiling takes minutes at every start, since its cache is not found again on the CPU.
        args["enforce_eager"] = True
        # Unasked, vLLM would take nearly all the memory there is.
        kv_bytes = min(MAX_DEFAULT_KV_BYTES, max(GIB, (memory_available or 0) // 8))
        args["kv_cache_memory_bytes"] = kv_bytes
        if not binds_threads and not _takes_several(options.engine_args):
            args["distributed_executor_backend"] = IN_THE_CORE
    if thoughts is not None:
        # Without it vLLM ends no thoughts.
        begin, end = thoughts
        args["reasoning_config"] = {"reasoning_start_str": begin, "reasoning_end_str": end}
    if can_sleep:
        args["enable_sleep_mode"] = True
    if options.max_num_seqs is not None:
        args["max_num_seqs"] = options.max_num_seqs
    if options.prefill_budget is not None:
        # vLLM's budget also counts the one token of each sequence that is being decoded.
        args["max_num_batched_tokens"] = options.prefill_budget + (options.max_num_seqs or 0)
    if not options.prefix_cache:
        args["enable_prefix_caching"] = False
    if options.engine_args.get("enable_lora", bool(adapters)):
        args |= _room_for(adapters, in_a_batch=options.engine_args.get("max_loras"))
    return args | options.engine_args


def cache_size_note(cache_size: int | None) -> dict[str, str]:
    """For `LoadedModel.details`: vLLM keeps blocks of tokens, not sequences."""
    if cache_size is None:
        return {}
    note = f"{cache_size} has no meaning here: vLLM keeps as many blocks as its KV cache has"
    return {"cache_size": note}


def _takes_several(engine_args: Mapping[str, Any]) -> bool:
    """Processes to compute in."""
    several = (name for name in engine_args if name.endswith("_parallel_size") or name == "nnodes")
    return any(engine_args[name] not in (None, 1) for name in several)


def _room_for(adapters: Sequence[Adapter], *, in_a_batch: object) -> dict[str, Any]:
    largest = max((adapter.rank for adapter in adapters), default=0)
    at_once = in_a_batch if isinstance(in_a_batch, int) else ADAPTERS_IN_A_BATCH
    return {
        "enable_lora": True,
        "max_lora_rank": next((r for r in ADAPTER_RANKS if r >= largest), ADAPTER_RANKS[-1]),
        "max_loras": at_once,
        "max_cpu_loras": max(ADAPTERS_IN_MEMORY, at_once),
    }


def without_adapters(args: Mapping[str, Any]) -> dict[str, Any]:
    """The same, for a model that cannot have any."""
    lora = ("enable_lora", "max_lora_rank", "max_loras", "max_cpu_loras")
    return {name: value for name, value in args.items() if name not in lora}


def cores(binding: Binding, device: str, machine: Facts) -> int | None:
    """To compute on: all that this process may run on. None, where vLLM's own choice is better:
    between several NUMA nodes, and beside a GPU."""
    bound = binding.cpus is not None or binding.numa_node is not None
    is_one_node = device == "cpu" and machine.numa_nodes in (None, 1)
    return machine.physical_cores if bound or is_one_node else None


def environment(
    options: EngineOptions, given: Mapping[str, str], *, cores: int | None = None
) -> dict[str, str]:
    """Variables to set before vllm is imported; what is `given` already is left as it is.

    cores: what `cores` gave, where the options do not tell; None: vLLM chooses some and binds
    threads to them.
    """
    wanted = {
        # Models are folders on this machine.
        "HF_HUB_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        # Its processes are started by exec, and so can be bound to the life of this one.
        "VLLM_WORKER_MULTIPROC_METHOD": "spawn",
    }
    threads = options.threads or cores
    if threads is not None:
        # Not bound to cores by vLLM: several engines would be bound to the same ones, and it wants
        # one more than it computes on.
        wanted[BIND] = UNBOUND
        wanted["OMP_NUM_THREADS"] = str(threads)
    return {name: value for name, value in wanted.items() if name not in given}


_NOISE = re.compile(r"\[type=.*?\]|For further information visit \S+")


def plain(message: str) -> str:
    """A message of vLLM or pydantic in one line, without pydantic's links and types."""
    return re.sub(r"\s+", " ", _NOISE.sub("", message)).strip()
