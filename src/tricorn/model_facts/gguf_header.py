"""Reading what stands before the weights in a GGUF file. Whatever the file holds, it is bounded.

Source: the GGUF specification (ggml, docs/gguf.md). After the magic `GGUF` come a u32 version and
the u64 counts of tensors and of metadata, all little-endian for the versions here. Then each entry
of the metadata: a key, the number of a type, a value. Then each tensor: a name, its dimensions, a
type, an offset. The weights begin at the next multiple of `general.alignment`.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

MAGIC = b"GGUF"
VERSIONS = (2, 3)
FIXED = struct.Struct("<4sIQQ")

MAX_HEADER = 64 * 2**20
"""Bytes. The largest vocabularies there are take about 16 MB."""
MAX_ENTRIES = 1 << 16
MAX_TENSORS = 1 << 18
MAX_DIMENSIONS = 4
"""ggml's own."""
KEPT_TEXT = 4096
"""Bytes of a text that are kept."""
KEPT_ARRAY = 4096
"""The longest array whose numbers are kept: those that have one for each layer."""
MAX_NESTING = 2

_STEP = 1 << 20
"""Bytes that are read at once."""
_U32, _U64 = struct.Struct("<I"), struct.Struct("<Q")
_BOOL, _STRING, _ARRAY = 7, 8, 9
_NUMBERS = {
    0: struct.Struct("<B"),
    1: struct.Struct("<b"),
    2: struct.Struct("<H"),
    3: struct.Struct("<h"),
    4: struct.Struct("<I"),
    5: struct.Struct("<i"),
    6: struct.Struct("<f"),
    _BOOL: struct.Struct("<?"),
    10: struct.Struct("<Q"),
    11: struct.Struct("<q"),
    12: struct.Struct("<d"),
}
"""By the number of their type."""


class GgufError(Exception):
    """Why a file cannot be read, as a clause for people."""


@dataclass(frozen=True)
class Length:
    """An array whose values are not kept."""

    count: int


Value = int | float | bool | str | tuple[int | float, ...] | Length


@dataclass(frozen=True)
class Tensor:
    name: str
    shape: tuple[int, ...]
    kind: int
    offset: int
    """From where the weights begin."""


@dataclass(frozen=True)
class Header:
    metadata: dict[str, Value]
    tensors: list[Tensor]
    end: int
    """Where the last tensor's entry ends, in bytes from the beginning of the file."""
    file_size: int


def read(path: Path) -> Header:
    """GgufError says what is wrong; nothing else is raised. Opens the file, reads MAX_HEADER bytes
    at most, and keeps no vocabulary."""
    try:
        with path.open("rb") as file:
            return _read(_Window(file, os.fstat(file.fileno()).st_size))
    except OSError as error:
        raise GgufError(f"cannot be read: {error.strerror or error}") from error


class _Window:
    """The beginning of a file, read as far as it is asked for."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self.size = size
        self.at = 0
        self.data = bytearray()
        self._file = file

    def need(self, count: int) -> int:
        """Have that many bytes more; where they begin."""
        begin, end = self.at, self.at + count
        if end > len(self.data):
            self._fetch(end)
        self.at = end
        return begin

    def _fetch(self, end: int) -> None:
        if end > self.size:
            raise GgufError("the file is cut off within its header")
        if end > MAX_HEADER:
            raise GgufError(f"its header is longer than {MAX_HEADER >> 20} MiB")
        while len(self.data) < end:
            piece = self._file.read(max(_STEP, end - len(self.data)))
            if not piece:
                raise GgufError("the file is cut off within its header")
            self.data += piece

    def u32(self) -> int:
        begin = self.need(4)
        return int(_U32.unpack_from(self.data, begin)[0])

    def u64(self) -> int:
        begin = self.need(8)
        return int(_U64.unpack_from(self.data, begin)[0])

    def text(self) -> str:
        length = self.u64()
        begin = self.need(length)
        kept = bytes(self.data[begin : begin + min(length, KEPT_TEXT)])
        return kept.decode(errors="replace")

    def skip_texts(self, count: int) -> None:
        """The long part of a header; a hundred nanoseconds each."""
        if count > MAX_HEADER // 8:
            raise GgufError("an array in its header has more values than a header has room for")
        unpack, data, at = _U64.unpack_from, self.data, self.at
        for _ in range(count):
            try:
                at += 8 + unpack(data, at)[0]
            except (struct.error, OverflowError):  # the end of what has been read so far
                self._fetch(at + 8)
                at += 8 + unpack(data, at)[0]
        self.at = at
        self.need(0)


def _read(window: _Window) -> Header:
    if not window.size:
        raise GgufError("the file is empty")
    window.need(min(window.size, FIXED.size))
    if not window.data.startswith(MAGIC[: window.size]):
        raise GgufError("not a GGUF file: it does not begin with the letters GGUF")
    window.at = 0
    begin = window.need(FIXED.size)
    _, version, tensors, entries = FIXED.unpack_from(window.data, begin)
    if version not in VERSIONS:
        known = " and ".join(map(str, VERSIONS))
        raise GgufError(f"GGUF version {version} is not supported, only {known}")
    if entries > MAX_ENTRIES or tensors > MAX_TENSORS:
        raise GgufError("its header counts more entries than any model has")
    metadata: dict[str, Value] = {}
    for _ in range(entries):
        key = window.text()
        metadata[key] = _value(window, window.u32(), nesting=0)
    table = [_tensor(window) for _ in range(tensors)]
    return Header(metadata, table, window.at, window.size)


def _value(window: _Window, kind: int, *, nesting: int) -> Value:
    if kind == _STRING:
        return window.text()
    if kind == _ARRAY:
        return _array(window, nesting=nesting)
    form = _NUMBERS.get(kind)
    if form is None:
        raise GgufError(f"its header has a value of an unknown type ({kind})")
    begin = window.need(form.size)
    value: int | float | bool = form.unpack_from(window.data, begin)[0]
    return value


def _array(window: _Window, *, nesting: int) -> Value:
    kind, count = window.u32(), window.u64()
    if kind == _STRING:
        window.skip_texts(count)
        return Length(count)
    if kind == _ARRAY:
        if nesting + 1 >= MAX_NESTING or count > MAX_HEADER // 12:
            raise GgufError("its header has arrays within arrays that make no sense")
        for _ in range(count):
            _array(window, nesting=nesting + 1)
        return Length(count)
    form = _NUMBERS.get(kind)
    if form is None:
        raise GgufError(f"its header has values of an unknown type ({kind})")
    begin = window.need(form.size * count)
    if count > KEPT_ARRAY:
        return Length(count)
    return struct.unpack_from(f"<{count}{form.format[-1]}", window.data, begin)


def _tensor(window: _Window) -> Tensor:
    name, dimensions = window.text(), window.u32()
    if dimensions > MAX_DIMENSIONS:
        raise GgufError(f"the tensor {name[:64]!r} has {dimensions} dimensions")
    shape = tuple(window.u64() for _ in range(dimensions))
    return Tensor(name, shape, window.u32(), window.u64())
