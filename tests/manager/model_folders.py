"""Folders of models and adapters for the tests, as engines write them, without real weights."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

from tests.model_facts.gguf_files import gguf

from tricorn.manager.catalog.adapter_folder import CONFIG, WEIGHTS

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


def put_adapter(
    folder: Path,
    *,
    base: str | None = None,
    rank: object = 8,
    weights: str | None = WEIGHTS,
    **more: Any,
) -> Path:
    """A LoRA adapter as PEFT writes it. weights: the name of their file; None: there is none."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {"peft_type": "LORA", "r": rank, "base_model_name_or_path": base} | more
    (folder / CONFIG).write_text(json.dumps(config))
    if weights is not None:
        (folder / weights).write_bytes(safetensors())
    return folder


def put_cached(cache: Path, repo: str, *ggufs: str, parts: int = 1) -> Path:
    """A repository as huggingface_hub stores it, its files links to blobs: a Hugging Face folder,
    or these GGUF files. The snapshot that `main` is."""
    folder = cache / f"models--{repo.replace('/', '--')}"
    snapshot = folder / "snapshots" / "abc123"
    (folder / "refs").mkdir(parents=True, exist_ok=True)
    (folder / "refs/main").write_text("abc123")
    (folder / "blobs").mkdir(exist_ok=True)
    if ggufs:
        snapshot.mkdir(parents=True)
        for name in ggufs:
            (snapshot / name).write_bytes(gguf())
    else:
        put_folder(snapshot, parts=parts)
    for number, file in enumerate(sorted(snapshot.iterdir())):
        blob = file.replace(folder / "blobs" / f"blob{number}")
        file.symlink_to(Path("../../blobs") / blob.name)
    return snapshot
