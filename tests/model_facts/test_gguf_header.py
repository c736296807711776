"""Tests of `tricorn.model_facts.gguf_header`: whatever a file holds, reading it ends well."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.model_facts.gguf_files import LLAMA, gguf, string

from tricorn.model_facts import gguf_header
from tricorn.model_facts.gguf_header import GgufError, Length, Tensor, read


def file(folder: Path, content: bytes) -> Path:
    path = folder / "m.gguf"
    path.write_bytes(content)
    return path


def test_what_a_file_holds(tmp_path: Path) -> None:
    """Values of every kind, and the table of tensors; of a vocabulary only its length."""
    more = {"yes": True, "pi": 3.5, "heads": [4, 2], "flags": [True, False], "long": [1] * 5000}
    content = gguf(LLAMA | more)
    header = read(file(tmp_path, content))
    assert header.metadata["general.architecture"] == "llama"
    assert header.metadata["llama.block_count"] == 2
    assert header.metadata["tokenizer.ggml.tokens"] == Length(3)
    assert [header.metadata[key] for key in more] == [
        True,
        3.5,
        (4, 2),
        (True, False),
        Length(5000),
    ]
    assert header.tensors == [
        Tensor("token_embd.weight", (64, 3), 0, 0),
        Tensor("blk.0.attn_q.weight", (64, 64), 8, 768),
    ]
    assert header.file_size == len(content)
    assert 0 < header.end < len(content)


def test_a_header_in_many_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the same however the file is read."""
    content = gguf(LLAMA | {"tokenizer.ggml.merges": ["ab" * n for n in range(50)]})
    path = file(tmp_path, content)
    whole = read(path)
    for step in (1, 7, 64):
        monkeypatch.setattr(gguf_header, "_STEP", step)
        assert read(path) == whole


def test_long_texts_are_cut(tmp_path: Path) -> None:
    """Nobody needs a whole template here."""
    header = read(file(tmp_path, gguf({"template": "é" * 10_000})))
    assert header.metadata["template"] == "é" * (gguf_header.KEPT_TEXT // 2)


def counted(tensors: int, entries: int, rest: bytes = b"") -> bytes:
    return struct.pack("<4sIQQ", b"GGUF", 3, tensors, entries) + rest


def value(kind: int, content: bytes) -> bytes:
    return counted(0, 1, string("k") + struct.pack("<I", kind) + content)


HUGE = 1 << 62
NESTED = struct.pack("<IQ", 9, 1) * 500


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "empty"),
        (b"GG", "cut off"),
        (b"GGUF\x03", "cut off"),
        (b"<html>404</html>", "not a GGUF file"),
        (gguf(version=1), "version 1"),
        (gguf(version=0x03000000), "version"),
        (counted(HUGE, 0), "more entries than any model has"),
        (counted(0, HUGE), "more entries than any model has"),
        (counted(0, 1), "cut off"),
        (counted(0, 1, struct.pack("<Q", HUGE) + b"key"), "cut off"),
        (value(99, b""), "unknown type (99)"),
        (value(8, struct.pack("<Q", HUGE)), "cut off"),
        (value(9, struct.pack("<IQ", 8, HUGE)), "more values than a header has room for"),
        (value(9, struct.pack("<IQ", 8, 3) + struct.pack("<Q", HUGE)), "cut off"),
        (value(9, struct.pack("<IQ", 8, 1) + struct.pack("<Q", (1 << 64) - 1)), "cut off"),
        (value(9, struct.pack("<IQ", 0, HUGE)), "cut off"),
        (value(9, struct.pack("<IQ", 77, 1)), "unknown type (77)"),
        (value(9, NESTED), "arrays within arrays"),
        (counted(1, 0, string("t") + struct.pack("<I", 1 << 31)), "dimensions"),
    ],
)
def test_broken_headers(tmp_path: Path, content: bytes, fault: str) -> None:
    """Hostile counts, lengths and nestings are refused by a sentence."""
    with pytest.raises(GgufError) as raised:
        read(file(tmp_path, content))
    assert fault in str(raised.value)


def test_missing_file(tmp_path: Path) -> None:
    """What cannot be read says so."""
    with pytest.raises(GgufError, match="cannot be read"):
        read(tmp_path / "m.gguf")


def test_no_more_than_a_header_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of gigabytes whose header says that it is as long is given up."""
    monkeypatch.setattr(gguf_header, "MAX_HEADER", 1 << 20)
    monkeypatch.setattr(gguf_header, "_STEP", 1 << 16)
    path = file(tmp_path, value(9, struct.pack("<IQ", 0, 3 << 30)))
    with path.open("r+b") as sparse:
        sparse.truncate(4 << 30)
    with pytest.raises(GgufError, match="longer than 1 MiB"):
        read(path)


CONTENT = gguf(LLAMA | {"heads": [4, 2], "x": 1.5})


@settings(max_examples=100, deadline=None)
@given(
    changes=st.lists(
        st.tuples(st.integers(0, 800), st.binary(min_size=1, max_size=9)), min_size=1, max_size=4
    ),
    end=st.one_of(st.none(), st.integers(0, len(CONTENT))),
)
def test_mutated_headers(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, bytes]], end: int | None
) -> None:
    """Read, or refused by its own error: never another one."""
    content = bytearray(CONTENT[:end])
    for at, piece in changes:
        content[at : at + len(piece)] = piece
    path = tmp_path_factory.getbasetemp() / "mutated.gguf"
    path.write_bytes(content)
    try:
        header = read(path)
    except GgufError:
        return
    assert header.end <= len(content)
