"""Model folders for the tests: the small files as engines write them, and weights of no use."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

LLAMA = {"architectures": ["LlamaForCausalLM"], "model_type": "llama"}


def safetensors(content: bytes = b"1234") -> bytes:
    """A file as safetensors are: the header's length, the header, the tensors."""
    header = json.dumps({"x": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]}}).encode()
    return struct.pack("<Q", len(header)) + header + content


WEIGHT = len(safetensors())


def put_folder(
    folder: Path, *, config: Any = LLAMA, parts: int = 1, tokenizer: str | None = "tokenizer.json"
) -> Path:
    """A Hugging Face folder; with more than one part, they have an index."""
    folder.mkdir(parents=True, exist_ok=True)
    text = config if isinstance(config, str) else json.dumps(config)
    (folder / "config.json").write_text(text)
    if tokenizer is not None:
        (folder / tokenizer).write_text("{}")
    names = ["model.safetensors"]
    if parts > 1:
        names = [f"model-{n:05d}-of-{parts:05d}.safetensors" for n in range(1, parts + 1)]
        index = {"weight_map": {f"tensor{n}": name for n, name in enumerate(names)}}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    for name in names:
        (folder / name).write_bytes(safetensors())
    return folder
