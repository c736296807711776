"""A tiny eye for llama.cpp: one layer with random weights, as an mmproj GGUF.

An image becomes `TOKENS` embeddings of the language model's width. LLaVA's kind is read like text;
Gemma's is read at once, each position seeing all others. Needs numpy.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

PIXELS = 64
PATCH = 16
POOLED = 4
"""Patches in each direction that are one of Gemma's tokens."""
TOKENS = (PIXELS // PATCH) ** 2
EYE = 64
MLP = 128
ALIGNMENT = 32

_UINT32, _FLOAT32, _BOOL, _STRING, _ARRAY = 4, 6, 7, 8, 9

Tensors = dict[str, npt.NDArray[np.float32]]


def make(path: Path, *, width: int, at_once: bool = False) -> Path:
    """Write it for a language model with embeddings of `width`; the path comes back.

    at_once: Gemma's kind, not LLaVA's.
    """
    facts: dict[str, Any] = {
        "general.architecture": "clip",
        "general.name": "tiny eye",
        "general.alignment": ALIGNMENT,
        "clip.has_vision_encoder": True,
        "clip.projector_type": "gemma3" if at_once else "mlp",
        "clip.use_gelu": True,
        "clip.vision.image_size": PIXELS,
        "clip.vision.patch_size": PATCH // POOLED if at_once else PATCH,
        "clip.vision.embedding_length": EYE,
        "clip.vision.feed_forward_length": MLP,
        "clip.vision.projection_dim": width,
        "clip.vision.block_count": 1,
        "clip.vision.attention.head_count": 2,
        "clip.vision.attention.layer_norm_epsilon": 1e-5,
        "clip.vision.image_mean": [0.5, 0.5, 0.5],
        "clip.vision.image_std": [0.25, 0.25, 0.25],
    }
    tensors = _tensors(width, at_once)
    header = struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(facts))
    header += b"".join(_string(name) + _value(value) for name, value in facts.items())
    offset, body = 0, b""
    for name, tensor in tensors.items():
        shape = tensor.shape[::-1]  # GGUF names the fastest dimension first
        header += _string(name) + struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
        header += struct.pack("<IQ", 0, offset)
        data = tensor.astype("<f4").tobytes()
        body += data + bytes(-len(data) % ALIGNMENT)
        offset = len(body)
    path.write_bytes(header + bytes(-len(header) % ALIGNMENT) + body)
    return path


def _tensors(width: int, at_once: bool) -> Tensors:
    random = np.random.default_rng(7)

    def normal(*shape: int, deviation: float = 1.0) -> npt.NDArray[np.float32]:
        return random.standard_normal(shape, dtype=np.float32) * np.float32(deviation)

    def linear(name: str, out: int, into: int) -> Tensors:
        return {
            f"{name}.weight": normal(out, into, deviation=into**-0.5),
            f"{name}.bias": np.zeros(out, dtype=np.float32),
        }

    def norm(name: str) -> Tensors:
        return {
            f"{name}.weight": np.ones(EYE, dtype=np.float32),
            f"{name}.bias": np.zeros(EYE, dtype=np.float32),
        }

    def patches(size: int, positions: int) -> Tensors:
        return {
            "v.patch_embd.weight": normal(EYE, 3, size, size, deviation=(3 * size**2) ** -0.5),
            "v.position_embd.weight": normal(positions, EYE, deviation=0.5),
        }

    made = norm("v.blk.0.ln1") | norm("v.blk.0.ln2")
    for part in ("attn_q", "attn_k", "attn_v", "attn_out"):
        made |= linear(f"v.blk.0.{part}", EYE, EYE)
    made |= linear("v.blk.0.ffn_up", MLP, EYE) | linear("v.blk.0.ffn_down", EYE, MLP)
    if at_once:
        made |= patches(PATCH // POOLED, TOKENS * POOLED**2) | norm("v.post_ln")
        made["v.patch_embd.bias"] = np.zeros(EYE, dtype=np.float32)
        made["mm.input_projection.weight"] = normal(EYE, width, deviation=EYE**-0.5)
        made["mm.soft_emb_norm.weight"] = np.ones(EYE, dtype=np.float32)
        return made
    made |= patches(PATCH, TOKENS + 1) | norm("v.pre_ln")
    made["v.class_embd"] = normal(EYE)
    return made | linear("mm.0", width, EYE) | linear("mm.2", width, width)


def _string(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _value(value: Any) -> bytes:
    match value:
        case bool():
            return struct.pack("<I?", _BOOL, value)
        case int():
            return struct.pack("<II", _UINT32, value)
        case float():
            return struct.pack("<If", _FLOAT32, value)
        case str():
            return struct.pack("<I", _STRING) + _string(value)
    items = struct.pack(f"<{len(value)}f", *value)
    return struct.pack("<IIQ", _ARRAY, _FLOAT32, len(value)) + items
