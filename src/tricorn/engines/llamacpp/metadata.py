"""How a GGUF file's model pools, read from the file without llama.cpp. Pure.

Source: the GGUF specification (ggml, docs/gguf.md). After the header come the metadata: a key, the
number of a type, a value. What describes the architecture stands before the vocabulary, which is
long and read only where it must be. Then each tensor: a name, its dimensions, a type, an offset.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Literal

PoolingType = Literal["mean", "cls", "last", "rank"]

NAMES: dict[int, PoolingType] = {1: "mean", 2: "cls", 3: "last", 4: "rank"}
"""llama.cpp's numbers; 0 is none."""

_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
"""Bytes of a value by the number of its type."""
_UINT32, _STRING, _ARRAY = 4, 8, 9
_UNREADABLE = (OSError, struct.error, KeyError)


def pooling_type(path: Path) -> PoolingType | None:
    """None: it does not pool, or the file is not one that can be read (llama.cpp will say why)."""
    try:
        with path.open("rb") as file:
            return _find(file)
    except _UNREADABLE:
        return None


def has_classifier(path: Path) -> bool:
    """Its model has what tells how two texts go together; llama.cpp would rank without it too."""
    try:
        with path.open("rb") as file:
            return any(name.startswith(b"cls.") for name in _tensors(file))
    except _UNREADABLE:
        return False


def _header(file: BinaryIO) -> tuple[int, int]:
    """(tensors, entries)."""
    magic, _version, tensors, entries = struct.unpack("<4sIQQ", file.read(24))
    return (tensors, entries) if magic == b"GGUF" else (0, 0)


def _tensors(file: BinaryIO) -> Iterator[bytes]:
    tensors, entries = _header(file)
    for _ in range(entries):
        _skip(file, _STRING)
        _skip(file, _number(file, "<I"))
    for _ in range(tensors):
        yield file.read(_number(file, "<Q"))
        file.seek(8 * _number(file, "<I") + 4 + 8, 1)


def _find(file: BinaryIO) -> PoolingType | None:
    _, entries = _header(file)
    for _ in range(entries):
        key = file.read(_number(file, "<Q"))
        kind = _number(file, "<I")
        if key.startswith(b"tokenizer."):
            return None
        if key.endswith(b".pooling_type") and kind == _UINT32:
            return NAMES.get(_number(file, "<I"))
        _skip(file, kind)
    return None


def _number(file: BinaryIO, form: str) -> int:
    (value,) = struct.unpack(form, file.read(struct.calcsize(form)))
    return int(value)


def _skip(file: BinaryIO, kind: int) -> None:
    if kind == _STRING:
        file.seek(_number(file, "<Q"), 1)
    elif kind == _ARRAY:
        inner, count = _number(file, "<I"), _number(file, "<Q")
        if inner in _SIZES:
            file.seek(_SIZES[inner] * count, 1)
        else:
            for _ in range(count):
                _skip(file, inner)
    else:
        file.seek(_SIZES[kind], 1)
