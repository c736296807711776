"""Tests of `tricorn.model_facts.safetensors`."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tricorn.model_facts import safetensors
from tricorn.model_facts.safetensors import Tensor, WeightFile, inspect

HEADER: dict[str, Any] = {
    "__metadata__": {"format": "pt"},
    "a": {"dtype": "F16", "shape": [2, 3], "data_offsets": [0, 12]},
    "b": {"dtype": "I32", "shape": [], "data_offsets": [12, 16]},
}


def weights(header: Any = HEADER, content: bytes = bytes(16)) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + content


def found(folder: Path, content: bytes) -> WeightFile:
    path = folder / "m.safetensors"
    path.write_bytes(content)
    return inspect(path)


def test_what_a_file_holds(tmp_path: Path) -> None:
    """The tensors by name, without what is only told of the file."""
    file = found(tmp_path, weights())
    assert file == WeightFile((Tensor("a", "F16", (2, 3), 12), Tensor("b", "I32", (), 4)))
    assert [tensor.numbers for tensor in file.tensors] == [6, 1]


def test_a_file_that_was_cut_off(tmp_path: Path) -> None:
    """It says how much of it is there."""
    content = weights()
    file = found(tmp_path, content[:-1])
    assert file.fault == f"m.safetensors is incomplete: {len(content) - 1} of {len(content)} bytes"
    assert len(file.tensors) == 2


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "Git LFS"),
        (b"", "no safetensors file"),
        (weights()[:20], "cut off"),
        (b"<html>Not Found</html>", "no safetensors file"),
        (struct.pack("<Q", 1 << 63) + b"{}", "cut off"),
        (weights(b"{]"), "not valid JSON"),
        (weights(b'{"a":' * 100_000), "not valid JSON"),
        (weights({"a": 1}), "describes no tensors"),
        (weights(HEADER | {"c": HEADER["a"] | {"data_offsets": [4, 0]}}), "describes no tensors"),
        (weights(HEADER | {"c": HEADER["a"] | {"shape": [-1]}}), "describes no tensors"),
        (weights(HEADER | {"c": HEADER["a"] | {"data_offsets": [0, 1 << 70]}}), "incomplete"),
    ],
)
def test_broken_files(tmp_path: Path, content: bytes, fault: str) -> None:
    """Each fault begins with the file's name."""
    said = found(tmp_path, content).fault or ""
    assert said.startswith("m.safetensors ")
    assert fault in said


def test_a_header_that_is_too_long_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However much the file says."""
    monkeypatch.setattr(safetensors, "MAX_HEADER", 16)
    assert "longer than any" in (found(tmp_path, weights()).fault or "")


def test_a_missing_file(tmp_path: Path) -> None:
    """What cannot be read is a fault."""
    assert "cannot be read" in (inspect(tmp_path / "none").fault or "")


@settings(max_examples=100, deadline=None)
@given(
    changes=st.lists(st.tuples(st.integers(0, 250), st.binary(min_size=1, max_size=6)), max_size=4),
    end=st.one_of(st.none(), st.integers(0, len(weights()))),
)
def test_mutated_files(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, bytes]], end: int | None
) -> None:
    """Tensors or a fault, and never an exception."""
    content = bytearray(weights()[:end])
    for at, piece in changes:
        content[at : at + len(piece)] = piece
    assert isinstance(found(tmp_path_factory.getbasetemp(), bytes(content)), WeightFile)
