"""Start-up options of llama.cpp: `engine_args`, checked, with defaults from the machine. Pure."""

from __future__ import annotations

import difflib
from typing import Any, Literal

import msgspec

from tricorn.engines.spec import EngineOptions
from tricorn.errors import ModelLoadFailed
from tricorn.model_facts.facts import PoolingType

KvType = Literal["f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl"]

MAX_DEFAULT_CONTEXT = 16384
MAX_DEFAULT_TEXT = 8192
"""Of models that pool: a text is computed in one piece, and what that takes of memory grows with
the longest one."""
DEFAULT_MAX_NUM_SEQS = 16
DEFAULT_POOLING_SEQS = 64
DEFAULT_PREFILL_BUDGET = 128


class LlamaOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """llama.cpp's names where it has one; see its documentation for what they do."""

    threads: int = 1
    threads_batch: int = 1
    n_batch: int = 512
    """Tokens in one step."""
    n_ubatch: int = 512
    kv_tokens: int | None = None
    """Cells of the KV cache, shared by all sequences; None: from the memory there is."""
    cache_ram: int | None = None
    """MiB of main memory for the KV of ended sequences, kept for their prefix; 0: keep none in
    main memory; None: from the memory there is."""
    type_k: KvType = "f16"
    type_v: KvType = "f16"
    flash_attn: Literal["auto", "on", "off"] = "auto"
    use_mmap: bool = True
    use_mlock: bool = False
    n_gpu_layers: int = -1
    """Layers on a GPU; -1: all of them, where this build knows a GPU."""
    main_gpu: int = 0
    offload_kqv: bool = True
    numa: int = 0
    rope_freq_base: float | None = None
    rope_freq_scale: float | None = None
    mmproj: str | None = None
    """The model's eye; None: the one that lies beside it by its name; empty: none."""
    pooling_type: PoolingType | None = None
    """Make vectors, not text, pooled like this; None: as the model's file says."""
    matryoshka: bool | tuple[int, ...] = False
    """The model was trained for shorter vectors: of any length, or of these."""

    def shorter_dimensions(self) -> tuple[int, ...] | None:
        """As in `LoadedModel`."""
        if isinstance(self.matryoshka, tuple):
            return self.matryoshka
        return () if self.matryoshka else None


def parse(options: EngineOptions, *, cores: int, device: str = "") -> LlamaOptions:
    """ModelLoadFailed names a key that llama.cpp has not, or a value of the wrong type.

    device: that was chosen for the model; on "cpu" a build that knows a GPU leaves it alone.
    """
    threads = options.threads or cores
    given: dict[str, Any] = {"threads": threads, "threads_batch": threads}
    if device == "cpu":
        given |= {"n_gpu_layers": 0, "offload_kqv": False}
    given |= options.engine_args
    for name in given:
        if name not in LlamaOptions.__struct_fields__:
            near = difflib.get_close_matches(name, LlamaOptions.__struct_fields__, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ModelLoadFailed(f"engine_args: llama.cpp has no option {name!r} here{hint}")
    try:
        return msgspec.convert(given, LlamaOptions)
    except msgspec.ValidationError as error:
        raise ModelLoadFailed(f"engine_args: {error}") from error


def kv_size(
    wanted_context: int | None,
    kv_tokens: int | None,
    *,
    trained: int,
    bytes_per_token: int,
    available_bytes: int | None,
) -> tuple[int, int]:
    """(context of one sequence, cells of the whole cache), in tokens.

    Unasked, a sequence gets what the model was trained for, up to MAX_DEFAULT_CONTEXT, and the
    cache room for four of those, as long as that takes no more than a quarter of the memory.
    """
    affordable = (available_bytes or 8 << 30) // 4 // max(1, bytes_per_token)
    context = wanted_context or min(trained, MAX_DEFAULT_CONTEXT, max(512, affordable))
    cells = kv_tokens or max(context, min(4 * context, affordable))
    cells = -(-cells // 256) * 256
    return min(context, cells), cells


def pooling_context(wanted: int | None, trained: int | None) -> int:
    """The longest text, in tokens, for a model that pools."""
    return min(wanted or MAX_DEFAULT_TEXT, trained or MAX_DEFAULT_TEXT)


def parked_bytes(cache_ram: int | None, *, available_bytes: int | None) -> int:
    """Main memory for parked prefixes; unasked, a sixteenth of what is available, 8 GiB at most."""
    if cache_ram is not None:
        return cache_ram << 20
    return min((available_bytes or 8 << 30) // 16, 8 << 30)
