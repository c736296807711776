"""Tests of `tricorn.manager.catalog.hf_folder`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from tests.manager.model_folders import LLAMA, WEIGHT, put_folder, safetensors

from tricorn.manager.catalog import hf_folder
from tricorn.manager.catalog.hf_folder import ModelFolder


def inspected(folder: Path, within: Path | None = None) -> ModelFolder:
    files = hf_folder.list_files(folder)
    assert hf_folder.is_model(files)
    return hf_folder.inspect(folder, files, within=within)


def test_a_whole_folder(tmp_path: Path) -> None:
    """Format, size, time and quantisation are known, and there is no fault."""
    folder = put_folder(tmp_path / "m")
    found = inspected(folder)
    assert (found.format, found.size, found.fault) == ("hf", WEIGHT, None)
    assert found.quantisation is None
    assert found.mtime_ns == max(file.stat().st_mtime_ns for file in folder.iterdir())


def test_parts_are_one_model(tmp_path: Path) -> None:
    """The size is that of all parts, by the index."""
    folder = put_folder(tmp_path, parts=3)
    (folder / "consolidated.safetensors").write_bytes(safetensors())
    found = inspected(folder)
    assert (found.size, found.fault) == (3 * WEIGHT, None)


def test_weights_that_are_there_twice_count_once(tmp_path: Path) -> None:
    """Without an index, Mistral's second copy of the weights is passed over."""
    folder = put_folder(tmp_path)
    (folder / "consolidated.safetensors").write_bytes(safetensors())
    assert inspected(folder).size == WEIGHT


@pytest.mark.parametrize(
    ("config", "model_format", "quantisation"),
    [
        (LLAMA | {"quantization_config": {"quant_method": "AWQ", "bits": 4}}, "hf", "awq"),
        (LLAMA | {"quantization_config": {"quant_method": "gptq"}}, "hf", "gptq"),
        (LLAMA | {"quantization_config": {"quant_method": "fp8"}}, "hf", "fp8"),
        (LLAMA | {"text_config": {"quantization_config": {"quant_method": "fp8"}}}, "hf", "fp8"),
        (LLAMA | {"quantization_config": {"load_in_4bit": True}}, "hf", "bitsandbytes"),
        (LLAMA | {"compression_config": {"quant_method": "x"}}, "hf", "x"),
        (LLAMA | {"quantization_config": {}}, "hf", None),
        (
            LLAMA
            | {
                "quantization": {"group_size": 64, "bits": 4},
                "quantization_config": {"group_size": 64, "bits": 4},
            },
            "mlx",
            "mlx-4bit",
        ),
        (LLAMA | {"quantization": {"mode": "mxfp4"}}, "mlx", "mlx"),
        ({"model_type": "qwen2"}, "hf", None),
    ],
)
def test_formats(
    tmp_path: Path, config: dict[str, Any], model_format: str, quantisation: str | None
) -> None:
    """config.json tells MLX's folders from others, and how weights are quantised."""
    found = inspected(put_folder(tmp_path, config=config))
    assert (found.format, found.quantisation, found.fault) == (model_format, quantisation, None)


def test_modelopt_has_a_file_of_its_own(tmp_path: Path) -> None:
    """NVIDIA's quantisation is described beside config.json."""
    folder = put_folder(tmp_path)
    (folder / "hf_quant_config.json").write_text("{}")
    assert inspected(folder).quantisation == "modelopt"


@pytest.mark.parametrize(
    ("config", "fault"),
    [("{", "not valid JSON"), ("[1]", "no JSON object"), ("[" * 100_000, "not valid JSON")],
)
def test_unreadable_config(tmp_path: Path, config: str, fault: str) -> None:
    """A broken config.json is a fault that names it."""
    found = inspected(put_folder(tmp_path, config=config))
    assert f"config.json is {fault}" in (found.fault or "")


def test_too_large_a_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is too large to be a configuration is not read."""
    monkeypatch.setattr(hf_folder, "MAX_JSON_BYTES", 8)
    assert inspected(put_folder(tmp_path)).fault == "config.json is too large"


def test_missing_parts_are_named(tmp_path: Path) -> None:
    """Parts that the index names and that are not there; the others still count."""
    folder = put_folder(tmp_path, parts=6)
    (folder / "model-00002-of-00006.safetensors").unlink()
    found = inspected(folder)
    assert found.fault == "parts of the model are missing: model-00002-of-00006.safetensors"
    assert found.size == 5 * WEIGHT
    for number in (1, 3, 4):
        (folder / f"model-0000{number}-of-00006.safetensors").unlink()
    assert (inspected(folder).fault or "").endswith("and 1 more")


def test_missing_parts_without_an_index(tmp_path: Path) -> None:
    """The names of the parts say how many there are."""
    folder = put_folder(tmp_path, parts=2)
    (folder / "model.safetensors.index.json").unlink()
    assert inspected(folder).fault is None
    (folder / "model-00001-of-00002.safetensors").unlink()
    assert "model-00001-of-00002.safetensors" in (inspected(folder).fault or "")


@pytest.mark.parametrize(("index", "fault"), [("nonsense", "not valid JSON"), ("{}", "no parts")])
def test_broken_index(tmp_path: Path, index: str, fault: str) -> None:
    """An index that can't be read is a fault."""
    folder = put_folder(tmp_path, parts=2)
    (folder / "model.safetensors.index.json").write_text(index)
    assert fault in (inspected(folder).fault or "")


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "Git LFS"),
        (b"", "no safetensors file"),
        (safetensors()[:20], "cut off"),
        (safetensors()[:-5], "cut off"),  # one byte less than the header
        (b"<html>Not Found</html>", "no safetensors file"),
    ],
)
def test_broken_weights(tmp_path: Path, content: bytes, fault: str) -> None:
    """A part that is none is known by its first bytes."""
    folder = put_folder(tmp_path)
    (folder / "model.safetensors").write_bytes(content)
    found = inspected(folder).fault or ""
    assert found.startswith("model.safetensors")
    assert fault in found


def test_no_tokenizer(tmp_path: Path) -> None:
    """A model that no text can be given to is broken; there are several kinds of tokenizers."""
    assert "no tokenizer" in (inspected(put_folder(tmp_path / "a", tokenizer=None)).fault or "")
    for name in ("tokenizer.model", "tekken.json", "qwen.tiktoken", "vocab.txt"):
        assert inspected(put_folder(tmp_path / name, tokenizer=name)).fault is None


def test_pickled_weights_are_refused(tmp_path: Path) -> None:
    """PyTorch's own files are named as what is wrong."""
    folder = put_folder(tmp_path)
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    assert "PyTorch's own format" in (inspected(folder).fault or "")


def test_what_is_no_model(tmp_path: Path) -> None:
    """Weights without a configuration, a configuration without weights, and no folder at all."""
    folder = put_folder(tmp_path / "m")
    (folder / "config.json").rename(folder / "adapter_config.json")
    assert not hf_folder.is_model(hf_folder.list_files(folder))
    (tmp_path / "config.json").write_text("{}")
    assert not hf_folder.is_model(hf_folder.list_files(tmp_path))
    assert hf_folder.list_files(tmp_path / "none") == []


@pytest.mark.skipif(os.name != "posix", reason="needs symbolic links")
def test_links_out_of_the_folder(tmp_path: Path) -> None:
    """A file that leads out is refused where a root is given, as below models/; else followed."""
    root = tmp_path / "models"
    folder = put_folder(root / "m")
    (tmp_path / "blob").write_bytes(safetensors())
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors").symlink_to(tmp_path / "blob")
    found = inspected(folder, root)
    assert found.fault == "model.safetensors: a link that leads out of the folder"
    assert found.size == 0
    assert inspected(folder).fault is None
