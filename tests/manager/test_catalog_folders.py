"""Model folders, as Hugging Face and MLX have them, in the catalog."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.manager.catalogs import catalog, put
from tests.manager.model_folders import LLAMA, WEIGHT, put_folder

from tricorn.manager.catalog import hf_folder


def test_folders_are_models(tmp_path: Path) -> None:
    """A Hugging Face folder and an MLX folder are named by their path, with engine and device."""
    put_folder(tmp_path / "org/plain", parts=2)
    mlx = LLAMA | {"quantization": {"group_size": 64, "bits": 4}}
    put_folder(tmp_path / "quantised", config=mlx)
    specs = catalog(tmp_path).scan()
    assert list(specs) == ["org/plain", "quantised"]
    plain, quantised = specs.values()
    assert (plain.format, plain.engine, plain.device, plain.fault) == ("hf", "vllm", "cpu", None)
    assert (plain.path, plain.size_bytes) == (str(tmp_path / "org/plain"), 2 * WEIGHT)
    assert plain.created > 0
    assert "slower than a GGUF" in plain.engine_reason
    assert (quantised.format, quantised.engine, quantised.fault) == ("mlx", "mlx", None)


def test_broken_folder_is_listed_with_its_fault(tmp_path: Path) -> None:
    """A folder that lacks something is there, and says what."""
    put_folder(tmp_path / "m", tokenizer=None)
    assert "no tokenizer" in (catalog(tmp_path).scan()["m"].fault or "")


def test_folder_that_nothing_here_can_serve(tmp_path: Path) -> None:
    """A model that needs another machine is listed with the reason."""
    put_folder(tmp_path / "m", config=LLAMA | {"quantization_config": {"quant_method": "gptq"}})
    spec = catalog(tmp_path).scan()["m"]
    assert "GPTQ need vLLM on an NVIDIA GPU" in (spec.fault or "")
    assert (spec.engine, spec.device) == ("", "")


def test_folders_in_a_model_folder_belong_to_it(tmp_path: Path) -> None:
    """What lies inside is no further model, but for GGUF files; hidden folders are passed over."""
    put_folder(tmp_path / "m")
    put_folder(tmp_path / "m/onnx")
    put_folder(tmp_path / ".cache/m")
    put(tmp_path, "m/small.gguf")
    specs = catalog(tmp_path).scan()
    assert {spec.id: spec.format for spec in specs.values()} == {"m": "hf", "m/small": "gguf"}


def test_folder_and_file_of_one_name(tmp_path: Path) -> None:
    """Both can be asked for."""
    put_folder(tmp_path / "m")
    put(tmp_path, "m.gguf")
    specs = catalog(tmp_path).scan()
    assert {spec.id: spec.format for spec in specs.values()} == {"m": "gguf", "m.hf": "hf"}


def test_the_root_itself_can_be_a_model(tmp_path: Path) -> None:
    """MODEL_BASE_PATH may be one model's folder."""
    put_folder(tmp_path / "SmolLM2")
    assert list(catalog(tmp_path / "SmolLM2").scan()) == ["SmolLM2"]


def test_folder_elsewhere(tmp_path: Path) -> None:
    """`path:` may name a folder outside the root, and the entry's options hold."""
    folder = put_folder(tmp_path / "elsewhere/x")
    models = {"big": {"path": folder, "max_num_seqs": 3}}
    spec = catalog(tmp_path / "models", models).scan()["big"]
    assert (spec.format, spec.fault, spec.path) == ("hf", None, str(folder))
    assert spec.options.max_num_seqs == 3


def test_settings_lie_over_a_folder(tmp_path: Path) -> None:
    """An entry of a folder's id chooses the engine."""
    put_folder(tmp_path / "m")
    assert catalog(tmp_path, {"m": {"engine": "mlx"}}).scan()["m"].engine == "mlx"


@pytest.mark.skipif(os.name != "posix", reason="needs symbolic links")
def test_folders_that_leave_the_root(tmp_path: Path) -> None:
    """A folder that is a link out is passed over; one with such a file is listed with its fault."""
    root = tmp_path / "models"
    outside = put_folder(tmp_path / "outside")
    put_folder(root / "m")
    (root / "link").symlink_to(outside)
    (root / "m/config.json").unlink()
    (root / "m/config.json").symlink_to(outside / "config.json")
    specs = catalog(root).scan()
    assert list(specs) == ["m"]
    assert specs["m"].fault == "config.json: a link that leads out of the folder"


def test_unchanged_folders_are_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second scan opens nothing; a change is seen."""
    folder = put_folder(tmp_path / "m")
    found = catalog(tmp_path)
    first = found.scan()
    inspect = hf_folder.inspect
    monkeypatch.setattr(hf_folder, "inspect", lambda *_, **__: pytest.fail("read again"))
    assert found.scan() == first
    monkeypatch.setattr(hf_folder, "inspect", inspect)
    (folder / "tokenizer.json").unlink()
    assert "no tokenizer" in (found.scan()["m"].fault or "")
