"""GGUF files for the tests: laid out as real ones, with zeros for weights."""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from typing import Any

from tricorn.model_facts.gguf_types import TENSOR_TYPES

LLAMA: dict[str, Any] = {
    "general.architecture": "llama",
    "llama.context_length": 2048,
    "llama.embedding_length": 64,
    "llama.block_count": 2,
    "llama.attention.head_count": 4,
    "llama.attention.head_count_kv": 2,
    "tokenizer.ggml.tokens": ["a", "b", "c"],
    "tokenizer.chat_template": "{{ messages }}",
}
TENSORS: dict[str, tuple[tuple[int, ...], int]] = {
    "token_embd.weight": ((64, 3), 0),
    "blk.0.attn_q.weight": ((64, 64), 8),
}
"""Name → shape, number of the type."""


def gguf(
    metadata: Mapping[str, Any] = LLAMA,
    tensors: Mapping[str, tuple[tuple[int, ...], int]] = TENSORS,
    *,
    magic: bytes = b"GGUF",
    version: int = 3,
    alignment: int = 32,
) -> bytes:
    head = struct.pack("<4sIQQ", magic, version, len(tensors), len(metadata))
    head += b"".join(string(key) + typed(value) for key, value in metadata.items())
    offset, weights = 0, b""
    for name, (shape, kind) in tensors.items():
        head += string(name) + struct.pack("<I", len(shape))
        head += struct.pack(f"<{len(shape)}QIQ", *shape, kind, offset)
        size = math.prod(shape) // TENSOR_TYPES[kind].block * TENSOR_TYPES[kind].size
        weights += bytes(size + -size % alignment)
        offset = len(weights)
    return head + bytes(-len(head) % alignment) + weights


def string(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def typed(value: Any) -> bytes:
    """The number of a type, and the value."""
    match value:
        case bool():
            return struct.pack("<I?", 7, value)
        case int():
            return struct.pack("<II", 4, value)
        case float():
            return struct.pack("<If", 6, value)
        case str():
            return struct.pack("<I", 8) + string(value)
        case [str(), *_]:
            return struct.pack("<IIQ", 9, 8, len(value)) + b"".join(map(string, value))
        case [bool(), *_]:
            return struct.pack(f"<IIQ{len(value)}?", 9, 7, len(value), *value)
        case [int(), *_]:
            return struct.pack(f"<IIQ{len(value)}i", 9, 5, len(value), *value)
        case bytes():
            return value  # the type is in it
    raise TypeError(value)
