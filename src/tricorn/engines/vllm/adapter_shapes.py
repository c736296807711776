"""Whether an adapter's weights fit its model's. vLLM does not ask: of a smaller one it uses what
there is, and answers nonsense.

Read are the headers of the safetensors files, which name each tensor with its shape. What cannot be
compared (quantised weights, other names) is left to vLLM.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path

Shapes = Mapping[str, tuple[int, ...]]
"""Tensor → shape."""

PREFIX = "base_model.model."
FLOATS = ("F32", "F16", "BF16")
MAX_HEADER_BYTES = 64 * 2**20


def shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Those of the floating-point tensors in a folder's safetensors files; a file that cannot be
    read adds nothing."""
    found: dict[str, tuple[int, ...]] = {}
    for file in sorted(folder.glob("*.safetensors")):
        try:
            with file.open("rb") as opened:
                (length,) = struct.unpack("<Q", opened.read(8))
                header = json.loads(opened.read(min(length, MAX_HEADER_BYTES)))
            for name, tensor in header.items():
                if name != "__metadata__" and tensor["dtype"] in FLOATS:
                    found[name] = tuple(tensor["shape"])
        except (OSError, ValueError, LookupError, TypeError, AttributeError, struct.error):
            continue
    return found


def mismatch(adapter: Shapes, model: Shapes) -> str | None:
    """The first layer of the adapter that the model has in another size; None where there is none.

    A is [rank, inputs], B is [outputs, rank], the model's own weight [outputs, inputs].
    """
    for name, shape in adapter.items():
        layer, _, part = name.removeprefix(PREFIX).rpartition(".lora_")
        own = model.get(f"{layer}.weight")
        if own is None or len(own) != 2 or len(shape) != 2:
            continue
        of_a = part.startswith("A.")
        given, wanted = (shape[1], own[1]) if of_a else (shape[0], own[0])
        if given != wanted:
            end = "inputs" if of_a else "outputs"
            return f"its {layer} has {given} {end}, and the model's has {wanted}"
    return None
