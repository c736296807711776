"""Reading what stands before the tensors in a safetensors file. Whatever it holds, it is bounded.

Source: the format's description (huggingface/safetensors, README). A file opens with the length of
a JSON header (u64, little-endian); the header names each tensor with its type, its shape and where
it lies behind the header.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

MAX_HEADER = 32 * 2**20
"""Bytes; a file of ten thousand tensors has one of about a megabyte."""
LENGTH = struct.Struct("<Q")

TYPE_NAMES = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "F8_E4M3": "float8",
    "F8_E5M2": "float8",
}


@dataclass(frozen=True)
class Tensor:
    name: str
    kind: str
    """F32, BF16, I32 and the like."""
    shape: tuple[int, ...]
    size: int
    """Bytes."""

    @property
    def numbers(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True)
class WeightFile:
    tensors: tuple[Tensor, ...] = ()
    fault: str | None = None
    """Begins with the file's name."""


def inspect(file: Path) -> WeightFile:
    """Never raises. Reads the header only, if it is no longer than MAX_HEADER."""
    try:
        size = file.stat().st_size
        with file.open("rb") as opened:
            head = opened.read(9)
            if head.startswith(b"version "):
                why = "is only a pointer of Git LFS: fetch it with git lfs pull"
                return WeightFile(fault=f"{file.name} {why}")
            length = LENGTH.unpack(head[:8])[0] if len(head) == 9 and head[8:] == b"{" else None
            if length is None or length > size - 8:
                return WeightFile(fault=f"{file.name} is no safetensors file, or cut off")
            if length > MAX_HEADER:
                return WeightFile(fault=f"{file.name} has a header longer than any model's")
            header = head[8:] + opened.read(length - 1)
    except OSError as error:
        return WeightFile(fault=f"{file.name} cannot be read: {error.strerror or error}")
    return _checked(file.name, header, size - 8 - length)


def _checked(name: str, header: bytes, rest: int) -> WeightFile:
    """rest: bytes behind the header."""
    try:
        content = msgspec.json.decode(header)
    except (msgspec.DecodeError, ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        return WeightFile(fault=f"{name} has a header that is not valid JSON")
    tensors, end = [], 0
    for key, about in content.items():
        if key == "__metadata__":
            continue
        read = _tensor(key, about)
        if read is None:
            return WeightFile(fault=f"{name} has a header that describes no tensors")
        tensor, tensor_end = read
        tensors.append(tensor)
        end = max(end, tensor_end)
    if end > rest:
        before = 8 + len(header)
        fault = f"{name} is incomplete: {before + rest} of {before + end} bytes"
        return WeightFile(tuple(tensors), fault)
    return WeightFile(tuple(tensors))


def _tensor(name: str, about: Any) -> tuple[Tensor, int] | None:
    """The tensor, and where it ends behind the header; None where that is not one."""
    match about:
        case {"dtype": str(kind), "shape": [*shape], "data_offsets": [int(begin), int(end)]}:
            fits = all(isinstance(one, int) and one >= 0 for one in shape)
            if fits and 0 <= begin <= end:
                return Tensor(name, kind, tuple(shape), end - begin), end
    return None
