"""Tests of `tricorn.manager.gguf`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tricorn.manager import gguf


def header(*, magic: bytes = b"GGUF", version: int = 3, tensors: int = 1) -> bytes:
    return gguf.HEADER.pack(magic, version, tensors, 0)


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (header(), None),
        (header(version=2), None),
        (b"", "empty"),
        (b"GGML" + header()[4:], "not a GGUF file"),
        (b"GGUF\x03", "cut off"),
        (header(version=1), "version 1"),
        (header(version=0x03000000), "version"),
        (header(tensors=0), "no tensors"),
    ],
)
def test_faults(tmp_path: Path, content: bytes, fault: str | None) -> None:
    """A file is judged by its header."""
    file = tmp_path / "m.gguf"
    file.write_bytes(content)
    found = gguf.fault_of(file)
    if fault is None:
        assert found is None
    else:
        assert found is not None
        assert fault in found


def test_missing_file_has_a_fault(tmp_path: Path) -> None:
    """What cannot be read is a fault, not an exception."""
    assert "cannot be read" in (gguf.fault_of(tmp_path / "m.gguf") or "")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("m-00002-of-00005.gguf", "m"),
        ("m.Q4_1.gguf", "m.Q4_1"),
        ("m-2-of-5.gguf", "m-2-of-5"),
    ],
)
def test_model_name(name: str, expected: str) -> None:
    """All parts of a split model have the model's name."""
    assert gguf.model_name(Path(name)) == expected
