"""How a GGUF file pools, read without llama.cpp."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest

from tricorn.engines.llamacpp.metadata import has_classifier, pooling_type


def string(text: str) -> bytes:
    return struct.pack("<Q", len(text)) + text.encode()


def entry(key: str, kind: int, value: bytes) -> bytes:
    return string(key) + struct.pack("<I", kind) + value


ARCHITECTURE = entry("general.architecture", 8, string("bert"))
TAGS = entry("general.tags", 9, struct.pack("<IQ", 8, 2) + string("a") + string("bc"))
NUMBERS = entry("general.numbers", 9, struct.pack("<IQ3i", 5, 3, 1, 2, 3))
EPSILON = entry("bert.attention.layer_norm_epsilon", 6, struct.pack("<f", 1e-12))
CAUSAL = entry("bert.attention.causal", 7, b"\0")
TOKENS = entry("tokenizer.ggml.tokens", 9, struct.pack("<IQ", 8, 1 << 40))


def pooling(number: int) -> bytes:
    return entry("bert.pooling_type", 4, struct.pack("<I", number))


def file(folder: Path, *entries: bytes, magic: bytes = b"GGUF", tensors: Any = ()) -> Path:
    path = folder / "m.gguf"
    head = struct.pack("<4sIQQ", magic, 3, len(tensors), len(entries))
    about = struct.pack("<IQQIQ", 2, 8, 8, 0, 0)
    path.write_bytes(head + b"".join(entries) + b"".join(string(t) + about for t in tensors))
    return path


@pytest.mark.parametrize(
    ("number", "name"), [(0, None), (1, "mean"), (2, "cls"), (3, "last"), (4, "rank"), (9, None)]
)
def test_the_entry_is_found(tmp_path: Path, number: int, name: str | None) -> None:
    """Behind values of every kind."""
    found = file(tmp_path, ARCHITECTURE, TAGS, NUMBERS, EPSILON, CAUSAL, pooling(number), TOKENS)
    assert pooling_type(found) == name


def test_the_vocabulary_is_not_read(tmp_path: Path) -> None:
    """It is long, and what describes the architecture stands before it."""
    assert pooling_type(file(tmp_path, ARCHITECTURE, TOKENS, pooling(1))) is None


@pytest.mark.parametrize(
    "entries",
    [
        [ARCHITECTURE, pooling(1)[:-2]],
        [ARCHITECTURE, entry("x", 99, b"")],
        [ARCHITECTURE],
        [],
    ],
    ids=["cut off", "unknown type", "none", "empty"],
)
def test_without_it(tmp_path: Path, entries: list[bytes]) -> None:
    """Whatever is wrong with the file, llama.cpp says it better."""
    assert pooling_type(file(tmp_path, *entries)) is None


def test_other_files(tmp_path: Path) -> None:
    """No file, and no GGUF."""
    assert pooling_type(tmp_path / "none.gguf") is None
    assert pooling_type(file(tmp_path, pooling(1), magic=b"GGML")) is None
    (tmp_path / "short.gguf").write_bytes(b"GGUF")
    assert pooling_type(tmp_path / "short.gguf") is None


@pytest.mark.parametrize(
    ("tensors", "found"),
    [
        (["token_embd.weight", "cls.weight"], True),
        (["token_embd.weight", "output.weight"], False),
        ([], False),
    ],
)
def test_a_rerankers_classifier(tmp_path: Path, tensors: list[str], found: bool) -> None:
    """Is one of its tensors, which come after all of the metadata."""
    vocabulary = entry("tokenizer.ggml.tokens", 9, struct.pack("<IQ", 8, 2) + string("a") * 2)
    assert has_classifier(file(tmp_path, TAGS, vocabulary, EPSILON, tensors=tensors)) is found
    assert not has_classifier(tmp_path / "none.gguf")
