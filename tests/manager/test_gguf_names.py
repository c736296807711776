"""Tests of `tricorn.manager.catalog.gguf_names`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tricorn.manager.catalog import gguf_names
from tricorn.model_facts.facts import FileFacts
from tricorn.model_facts.gguf import GgufFile


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
    assert gguf_names.model_name(Path(name)) == expected


def test_parts_are_grouped() -> None:
    """All that their names say there are, in order; a single file gives way to them."""
    root = Path("/r")
    first, second = root / "a/m-00001-of-00002.gguf", root / "a/m-00002-of-00002.gguf"
    groups = gguf_names.grouped(root, [root / "a/m.gguf", second, root / "n.gguf"])
    assert groups == {"a/m": [first, second], "n": [root / "n.gguf"]}


@pytest.mark.parametrize(
    ("name", "part", "parts", "wrong"),
    [
        ("m.gguf", 0, 1, False),
        ("m-00001-of-00001.gguf", 0, 1, False),
        ("m-00002-of-00003.gguf", 1, 3, False),
        ("m-00001-of-00003.gguf", 1, 3, True),
        ("m-00002-of-00004.gguf", 1, 3, True),
        ("m.gguf", 1, 3, True),
    ],
)
def test_misnamed(name: str, part: int, parts: int, wrong: bool) -> None:
    """A part whose name and header do not go together."""
    fault = gguf_names.misnamed(Path(name), GgufFile(FileFacts(), part=part, parts=parts))
    assert (fault is not None) == wrong
    if fault is not None:
        assert fault.endswith("-00002-of-00003.gguf")


def test_a_fault_of_the_file_goes_first() -> None:
    """It is what has to be mended."""
    broken = GgufFile(FileFacts(), fault="broken", part=1, parts=3)
    assert gguf_names.misnamed(Path("m.gguf"), broken) is None
