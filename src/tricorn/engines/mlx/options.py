"""Start-up options of the MLX engine: `engine_args`, checked. Pure."""

from __future__ import annotations

import difflib
from typing import Annotated, Literal

import msgspec

from tricorn.engines.spec import EngineOptions
from tricorn.errors import ModelLoadFailed

DEFAULT_MAX_NUM_SEQS = 16

Count = Annotated[int, msgspec.Meta(ge=1)]
Mebibytes = Annotated[int, msgspec.Meta(ge=0)]


class MlxOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What None stands for is decided from the machine and the model (`memory`, `pace`)."""

    dtype: Literal["float32", "float16", "bfloat16"] | None = None
    """What weights that are not quantised are converted to; None: as they are stored."""
    prefill_step_size: Count | None = None
    """Prompt tokens computed in one step while no sequence is decoding; None: about a second's
    worth."""
    prefill_batch_size: Count = 8
    """Prompts computed side by side."""
    memory_limit: Mebibytes | None = None
    """MiB that weights, caches and MLX's own buffers may take together."""
    wired_limit: Mebibytes | None = None
    """MiB that may be wired (Metal only); None: what the system recommends."""
    cache_limit: Mebibytes | None = None
    """MiB of freed buffers that MLX may keep for reuse."""
    prompt_cache: Mebibytes | None = None
    """MiB of caches of ended sequences kept for their prefix; 0 keeps none."""
    matryoshka: bool | tuple[Count, ...] | None = None
    """The model was trained for shorter vectors: of any length, or of these; None: as its
    config.json says."""
    trust_remote_code: bool = False
    """Run the Python file that a model brings for its architecture."""


def parse(options: EngineOptions) -> MlxOptions:
    """ModelLoadFailed names a key that there is not, or a value of the wrong type."""
    for name in options.engine_args:
        if name not in MlxOptions.__struct_fields__:
            near = difflib.get_close_matches(name, MlxOptions.__struct_fields__, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ModelLoadFailed(f"engine_args: mlx has no option {name!r} here{hint}")
    try:
        return msgspec.convert(options.engine_args, MlxOptions)
    except msgspec.ValidationError as error:
        raise ModelLoadFailed(f"engine_args: {error}") from error
