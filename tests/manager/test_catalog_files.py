"""GGUF files in the catalog: whole ones, parts, and what is wrong with others."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.manager.catalogs import WHOLE, catalog, put
from tests.manager.model_folders import put_folder
from tests.model_facts.gguf_files import LLAMA as GGUF_LLAMA
from tests.model_facts.gguf_files import gguf as gguf_file


def test_split_model_is_one(tmp_path: Path) -> None:
    """The parts of a split file are one model; its path is the first part."""
    put_parts(tmp_path, 3)
    (spec,) = catalog(tmp_path).scan().values()
    assert spec.id == "m"
    assert spec.path.endswith("m-00001-of-00003.gguf")
    assert spec.size_bytes == sum(file.stat().st_size for file in tmp_path.iterdir())
    assert spec.fault is None
    assert spec.facts is not None
    assert spec.facts.parameters == 3 * (64 * 3 + 64 * 64)


def put_parts(folder: Path, count: int) -> None:
    for part in range(count):
        split = {"split.no": part, "split.count": count}
        name = f"m-{part + 1:05d}-of-{count:05d}.gguf"
        put(folder, name, content=gguf_file(GGUF_LLAMA | split if part == 0 else split))


def test_part_under_another_name(tmp_path: Path) -> None:
    """A part of a split model that was renamed cannot be put together with the others."""
    put(tmp_path, "m.gguf", content=gguf_file(GGUF_LLAMA | {"split.no": 1, "split.count": 3}))
    fault = catalog(tmp_path).scan()["m"].fault
    assert fault == ("this is part 2 of 3 of a model: its name must end in -00002-of-00003.gguf")


def test_file_that_was_cut_off(tmp_path: Path) -> None:
    """Its download never ended: it is listed with how much is there, and is not tried."""
    put(tmp_path, "m.gguf", content=WHOLE[:-100])
    fault = catalog(tmp_path).scan()["m"].fault
    assert fault == f"the file is incomplete: {len(WHOLE) - 100} of {len(WHOLE)} bytes"


def test_facts_and_estimate(tmp_path: Path) -> None:
    """What the files tell is known before any load, and so is about what a load takes."""
    put(tmp_path, "a.gguf")
    put_folder(tmp_path / "f")
    specs = catalog(tmp_path, {"a": {"context_length": 512}}).scan()
    facts, estimate = specs["a"].facts, specs["a"].estimate
    assert facts is not None
    assert (facts.architecture, facts.quantisation, facts.vision) == ("llama", "Q8_0", False)
    assert estimate is not None
    assert estimate.context_length == 512
    assert estimate.weights == facts.weight_bytes
    folder = specs["f"].facts
    assert folder is not None
    assert (folder.architecture, folder.parameters) == ("LlamaForCausalLM", 4)
    assert specs["f"].estimate is None  # its configuration says too little


def test_the_vision_half_counts(tmp_path: Path) -> None:
    """A model with an mmproj file beside it will see, and takes that much more memory."""
    put(tmp_path, "a.gguf")
    plain = catalog(tmp_path).scan()["a"].facts
    put(tmp_path, "mmproj-a.gguf")
    seeing = catalog(tmp_path).scan()["a"].facts
    blind = catalog(tmp_path, {"a": {"engine_args": {"mmproj": ""}}}).scan()["a"].facts
    assert plain is not None
    assert seeing is not None
    assert (seeing.vision, seeing.weight_bytes) == (True, plain.weight_bytes + len(WHOLE))
    assert blind == plain


@pytest.mark.parametrize("missing", [1, 2, 3])
def test_missing_part_is_a_fault(tmp_path: Path, missing: int) -> None:
    """A split model without all its parts is listed with the names of those that are missing."""
    put_parts(tmp_path, 3)
    (tmp_path / f"m-0000{missing}-of-00003.gguf").unlink()
    (spec,) = catalog(tmp_path).scan().values()
    assert spec.fault == f"parts of the model are missing: m-0000{missing}-of-00003.gguf"


def test_broken_file_is_listed_with_its_fault(tmp_path: Path) -> None:
    """A broken file does no harm to others and says what is wrong with it."""
    put(tmp_path, "good.gguf")
    put(tmp_path, "bad.gguf", content=b"<html>404</html>")
    specs = catalog(tmp_path).scan()
    assert specs["good"].fault is None
    assert "not a GGUF file" in (specs["bad"].fault or "")
