"""Tests of `tricorn.model_facts.gguf`: facts, and whether a file is whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.model_facts.gguf_files import LLAMA, TENSORS, gguf

from tricorn.model_facts.facts import CacheLayers
from tricorn.model_facts.gguf import GgufFile, inspect, whole
from tricorn.model_facts.gguf_types import FILE_TYPES, TENSOR_TYPES, bytes_per_number

MODELS = Path(__file__).parents[2] / "models"


def found(folder: Path, content: bytes, name: str = "m.gguf") -> GgufFile:
    path = folder / name
    path.write_bytes(content)
    return inspect(path)


def test_facts_of_a_model(tmp_path: Path) -> None:
    """What its header tells, summed up."""
    file = found(tmp_path, gguf(LLAMA | {"general.file_type": 15, "general.name": "Tiny"}))
    facts = file.facts
    assert file.fault is None
    assert (facts.architecture, facts.name) == ("llama", "Tiny")
    assert facts.parameters == 64 * 3 + 64 * 64
    assert facts.quantisation == "Q4_K_M"
    assert (facts.context_trained, facts.layers, facts.width, facts.heads) == (2048, 2, 64, 4)
    assert facts.vocabulary == 3
    assert facts.cache == (CacheLayers(2, 32, 32),)
    assert facts.weight_bytes == 64 * 3 * 4 + 64 * 64 // 32 * 34
    assert (facts.kind, facts.chat_template) == ("text", True)
    assert facts.abilities == ("generate", "chat")


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [({}, "Q8_0"), ({"general.file_type": 1024}, "Q8_0"), ({"general.file_type": 0}, "F32")],
)
def test_quantisation(tmp_path: Path, metadata: dict[str, Any], expected: str) -> None:
    """As the file says it, or else the type that most of the weights have."""
    assert found(tmp_path, gguf(LLAMA | metadata)).facts.quantisation == expected


@pytest.mark.parametrize(
    ("metadata", "kind", "abilities"),
    [
        ({"llama.pooling_type": 3}, "embedding", ("embed",)),
        ({"llama.pooling_type": 4}, "reranker", ("score",)),
        ({"llama.pooling_type": 0}, "text", ("generate", "chat")),
        ({"llama.attention.causal": False}, "embedding", ("embed",)),
    ],
)
def test_kinds(tmp_path: Path, metadata: dict[str, Any], kind: str, abilities: Any) -> None:
    """Models that pool, and encoders, write no text."""
    facts = found(tmp_path, gguf(LLAMA | metadata)).facts
    assert (facts.kind, facts.abilities) == (kind, abilities)


@pytest.mark.parametrize(
    ("number", "name"), [(0, None), (1, "mean"), (2, "cls"), (3, "last"), (4, "rank"), (9, None)]
)
def test_pooling(tmp_path: Path, number: int, name: str | None) -> None:
    """By llama.cpp's numbers."""
    assert found(tmp_path, gguf(LLAMA | {"llama.pooling_type": number})).facts.pooling == name


def test_a_classifier_is_known_by_its_tensors(tmp_path: Path) -> None:
    """In whatever part of a split model it is."""
    with_it = found(tmp_path, gguf({}, TENSORS | {"cls.output.weight": ((2,), 0)}))
    without = found(tmp_path, gguf({}, TENSORS | {"cls": ((2,), 0)}))
    assert (with_it.facts.classifier, without.facts.classifier) == (True, False)
    assert whole([without, with_it]).classifier


def test_the_embedding_table_counts_apart_where_it_is_only_looked_up(tmp_path: Path) -> None:
    """A model without a tensor for its output computes with the table of its tokens."""
    tied = TENSORS | {"output_norm.weight": ((64,), 0)}
    assert found(tmp_path, gguf(LLAMA, tied)).facts.embedding_bytes == 0
    untied = tied | {"output.weight": ((64, 3), 0)}
    assert found(tmp_path, gguf(LLAMA, untied)).facts.embedding_bytes == 64 * 3 * 4


@pytest.mark.parametrize("alignment", [32, 64])
def test_a_file_that_was_cut_off(tmp_path: Path, alignment: int) -> None:
    """It says how much of it is there; without the last tensor's padding it is whole."""
    content = gguf(LLAMA | {"general.alignment": alignment}, alignment=alignment)
    assert found(tmp_path, content).fault is None
    cut = found(tmp_path, content[:-1000])
    assert cut.fault == f"the file is incomplete: {len(content) - 1000} of {len(content)} bytes"
    assert cut.facts.parameters == 64 * 3 + 64 * 64
    padded = gguf(LLAMA, TENSORS | {"last": ((5,), 0)})
    assert found(tmp_path, padded[:-12]).fault is None
    assert "incomplete" in (found(tmp_path, padded[:-13]).fault or "")


def test_a_type_of_tensors_that_is_not_known_yet(tmp_path: Path) -> None:
    """It may be a newer one: what cannot be judged is no fault."""
    content = gguf().replace(b"\x08\x00\x00\x00\x00\x03", b"\xe8\x00\x00\x00\x00\x03")
    file = found(tmp_path, content)
    assert (file.fault, file.facts.parameters) == (None, 64 * 3 + 64 * 64)
    assert file.facts.quantisation is None


@pytest.mark.parametrize(
    ("metadata", "tensors", "fault"),
    [
        (LLAMA, {}, "no tensors"),
        (LLAMA | {"general.type": "adapter"}, TENSORS, "a LoRA adapter"),
        ({"general.architecture": "clip"}, TENSORS, "put mmproj into its name"),
        (LLAMA | {"general.alignment": 33}, TENSORS, "no power of two"),
        (LLAMA | {"general.alignment": 0}, TENSORS, "no power of two"),
    ],
)
def test_files_that_are_no_models(tmp_path: Path, metadata: Any, tensors: Any, fault: str) -> None:
    """Each says what it is instead."""
    assert fault in (found(tmp_path, gguf(metadata, tensors)).fault or "")


def test_parts_of_a_split_model(tmp_path: Path) -> None:
    """The first one has the metadata and perhaps no weights; the others are added."""
    first = found(tmp_path, gguf(LLAMA | {"split.no": 0, "split.count": 2}, {}))
    second = found(tmp_path, gguf({"split.no": 1, "split.count": 2}))
    assert (first.fault, second.fault) == (None, None)
    assert (first.part, first.parts, second.part, second.parts) == (0, 2, 1, 2)
    facts = whole([first, second])
    assert (facts.architecture, facts.quantisation) == ("llama", "Q8_0")
    assert facts.parameters == 64 * 3 + 64 * 64
    assert facts.weight_bytes == second.facts.weight_bytes


def test_nonsense_in_the_metadata_is_as_good_as_absent(tmp_path: Path) -> None:
    """Wrong types, too large numbers, arrays that are too short."""
    nonsense = {
        "general.architecture": "llama",
        "general.name": 5,
        "general.file_type": "x",
        "llama.block_count": "two",
        "llama.context_length": True,
        "llama.attention.head_count": [1],
    }
    facts = found(tmp_path, gguf(nonsense)).facts
    assert (facts.name, facts.layers, facts.context_trained, facts.cache) == (None,) * 4
    assert facts.quantisation == "Q8_0"


@pytest.mark.skipif(not list(MODELS.glob("SmolLM2*.gguf")), reason="needs the shipped model")
def test_a_real_model() -> None:
    """The one that is shipped, to the byte."""
    (path,) = MODELS.glob("SmolLM2-135M-Instruct.Q4_1.gguf")
    file = inspect(path)
    assert file.fault is None
    assert file.facts.parameters == 134_515_008
    assert file.facts.quantisation == "Q4_1"
    assert file.facts.cache == (CacheLayers(30, 192, 192),)
    assert (file.facts.context_trained, file.facts.vocabulary) == (8192, 49152)
    assert path.stat().st_size - file.facts.weight_bytes == 1_785_664


def test_the_tables_of_types_go_together() -> None:
    """Each mixture of a quantiser is named after a type, and sizes are known by either case."""
    names = tuple(one.name for one in TENSOR_TYPES.values())
    families = ("IQ1", "IQ2", "IQ3")
    assert all(name.startswith((*names, *families)) for name in FILE_TYPES.values())
    assert bytes_per_number("q8_0") == 34 / 32
    assert bytes_per_number("F16") == 2
    assert bytes_per_number("q9") is None


CONTENT = gguf(LLAMA | {"llama.ssm.state_size": 4, "llama.pooling_type": 1, "general.file_type": 7})


@settings(max_examples=100, deadline=None)
@given(
    changes=st.lists(
        st.tuples(st.integers(0, 900), st.binary(min_size=1, max_size=9)), min_size=1, max_size=5
    ),
    end=st.one_of(st.none(), st.integers(0, len(CONTENT))),
)
def test_mutated_files(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[int, bytes]], end: int | None
) -> None:
    """Facts or a fault, and never an exception."""
    content = bytearray(CONTENT[:end])
    for at, piece in changes:
        content[at : at + len(piece)] = piece
    assert isinstance(found(tmp_path_factory.getbasetemp(), bytes(content)), GgufFile)
