"""A BERT's Hugging Face folder as a GGUF file in float32; needs no engine's package.

Source: the specifications of safetensors (a u64 with the length of a JSON header, the header, the
tensors) and of GGUF (ggml, docs/gguf.md).
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.model_facts.gguf_files import string, typed

POOLING = {"mean": 1, "rank": 4}
ALIGNMENT = 32

_BEFORE = {
    "embeddings.word_embeddings": "token_embd",
    "embeddings.position_embeddings": "position_embd",
    "embeddings.token_type_embeddings": "token_types",
    "embeddings.LayerNorm": "token_embd_norm",
}
_LAYER = {
    "attention.self.query": "attn_q",
    "attention.self.key": "attn_k",
    "attention.self.value": "attn_v",
    "attention.output.dense": "attn_output",
    "attention.output.LayerNorm": "attn_output_norm",
    "intermediate.dense": "ffn_up",
    "output.dense": "ffn_down",
    "output.LayerNorm": "layer_output_norm",
}
_HEAD = {"pooler.dense": "cls", "classifier": "cls.output"}
"""Of a cross-encoder; other models bring a pooler too, and leave it unused."""


def convert(folder: Path, target: Path, *, pooling: str) -> None:
    """pooling: one of POOLING."""
    config = json.loads((folder / "config.json").read_text())
    names = _names(config["num_hidden_layers"], head=pooling == "rank")
    tensors = [
        (names[name], shape, data)
        for name, shape, data in _tensors(folder / "model.safetensors")
        if name in names
    ]
    assert {name for name, _shape, _data in tensors} == set(names.values())
    metadata = {**_architecture(config, POOLING[pooling]), **_vocabulary(folder)}
    partial = target.with_suffix(f".partial-{os.getpid()}")
    with partial.open("wb") as file:
        file.write(struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(metadata)))
        for key, value in metadata.items():
            file.write(string(key) + typed(value))
        offset = 0
        for name, shape, data in tensors:
            dimensions = list(reversed(shape))
            file.write(string(name) + struct.pack("<I", len(shape)))
            file.write(struct.pack(f"<{len(shape)}QIQ", *dimensions, 0, offset))
            offset += len(data) + -len(data) % ALIGNMENT
        file.write(b"\0" * (-file.tell() % ALIGNMENT))
        for _name, _shape, data in tensors:
            file.write(data + b"\0" * (-len(data) % ALIGNMENT))
    partial.replace(target)


def _names(layers: int, *, head: bool) -> dict[str, str]:
    """The folder's name of a tensor → the file's."""
    pairs = {**_BEFORE, **(_HEAD if head else {})}
    for layer in range(layers):
        pairs |= {f"encoder.layer.{layer}.{a}": f"blk.{layer}.{b}" for a, b in _LAYER.items()}
    without_bias = {name for name in pairs if name.endswith("_embeddings")}
    return {
        f"{a}.{part}": f"{b}.{part}"
        for a, b in pairs.items()
        for part in ("weight", "bias")
        if part == "weight" or a not in without_bias
    }


def _tensors(path: Path) -> Iterator[tuple[str, list[int], bytes]]:
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
        header.pop("__metadata__", None)
        for name, about in header.items():
            begin, end = about["data_offsets"]
            file.seek(8 + length + begin)
            if about["dtype"] == "F32":
                yield name.removeprefix("bert."), about["shape"], file.read(end - begin)


def _architecture(config: dict[str, Any], pooling: int) -> dict[str, Any]:
    return {
        "general.architecture": "bert",
        "bert.block_count": config["num_hidden_layers"],
        "bert.context_length": config["max_position_embeddings"],
        "bert.embedding_length": config["hidden_size"],
        "bert.feed_forward_length": config["intermediate_size"],
        "bert.attention.head_count": config["num_attention_heads"],
        "bert.attention.layer_norm_epsilon": float(config["layer_norm_eps"]),
        "bert.attention.causal": False,
        "bert.pooling_type": pooling,
    }


def _vocabulary(folder: Path) -> dict[str, Any]:
    pieces = (folder / "vocab.txt").read_text(encoding="utf-8").splitlines()
    control = [piece.startswith("[") and piece.endswith("]") for piece in pieces]
    return {
        "tokenizer.ggml.model": "bert",
        "tokenizer.ggml.token_type_count": 2,
        "tokenizer.ggml.tokens": [
            piece if special else piece[2:] if piece.startswith("##") else f"▁{piece}"
            for piece, special in zip(pieces, control, strict=True)
        ],
        "tokenizer.ggml.token_type": [3 if special else 1 for special in control],
        "tokenizer.ggml.unknown_token_id": pieces.index("[UNK]"),
        "tokenizer.ggml.seperator_token_id": pieces.index("[SEP]"),  # sic
        "tokenizer.ggml.padding_token_id": pieces.index("[PAD]"),
        "tokenizer.ggml.cls_token_id": pieces.index("[CLS]"),
        "tokenizer.ggml.mask_token_id": pieces.index("[MASK]"),
    }
