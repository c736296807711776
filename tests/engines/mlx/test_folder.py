"""What the files of a Hugging Face folder say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tricorn.engines.mlx.folder import read
from tricorn.errors import ModelLoadFailed


def folder(path: Path, **files: Any) -> Path:
    """A model's folder; a file that is None is left out. Names are written with `_json`."""
    written = {"config_json": {"model_type": "llama"}, "model_safetensors": "", **files}
    for name, content in written.items():
        if content is not None:
            stem, _, suffix = name.rpartition("_")
            text = content if isinstance(content, str) else json.dumps(content)
            (path / f"{stem}.{suffix}").write_text(text)
    return path


def test_ends_of_an_answer_come_from_all_files(tmp_path: Path) -> None:
    """Chat models name the end of a turn in one file and the end of a text in another."""
    found = read(
        folder(
            tmp_path,
            config_json={"model_type": "x", "eos_token_id": 2, "text_config": {"eos_token_id": 5}},
            generation_config_json={"eos_token_id": [7, 2]},
        )
    )
    assert found.end_tokens == {2, 5, 7}


def test_special_tokens_are_text_or_objects(tmp_path: Path) -> None:
    """And a null in the newer file does not hide the older one's."""
    found = read(
        folder(
            tmp_path,
            tokenizer_config_json={"eos_token": {"content": "</s>"}, "bos_token": None},
            special_tokens_map_json={"bos_token": "<s>", "eos_token": "other"},
        )
    )
    assert (found.bos_token, found.eos_token) == ("<s>", "</s>")


@pytest.mark.parametrize(
    ("files", "template"),
    [
        ({"tokenizer_config_json": {"chat_template": "A"}}, "A"),
        ({"tokenizer_config_json": {"chat_template": "A"}, "chat_template_jinja": "B"}, "B"),
        (
            {
                "tokenizer_config_json": {
                    "chat_template": [
                        {"name": "tool_use", "template": "T"},
                        {"name": "default", "template": "D"},
                    ]
                }
            },
            "D",
        ),
        ({"chat_template_json": {"chat_template": "C"}}, "C"),
        ({}, None),
    ],
)
def test_where_a_chat_template_may_be(
    tmp_path: Path, files: dict[str, Any], template: str | None
) -> None:
    """The file of its own comes first."""
    assert read(folder(tmp_path, **files)).templates.default == template


def test_the_size_is_that_of_all_weight_files(tmp_path: Path) -> None:
    """Known before they are loaded."""
    files = {"model-1_safetensors": "12345", "model-2_safetensors": "123"}
    assert read(folder(tmp_path, **files)).weight_bytes == 8


def test_context_and_quantisation(tmp_path: Path) -> None:
    """A multimodal model's context is that of its language model."""
    config = {
        "model_type": "x",
        "max_position_embeddings": 1,
        "text_config": {"max_position_embeddings": 4096},
        "quantization": {"group_size": 64, "bits": 4},
    }
    found = read(folder(tmp_path, config_json=config))
    assert (found.context_trained, found.quantization) == (4096, "4 bits")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"config_json": None}, "has no config.json"),
        ({"config_json": '{"model_type"'}, "config.json cannot be read .* download complete"),
        ({"config_json": []}, "does not hold a JSON object"),
        ({"config_json": {}}, "does not name a model_type"),
        ({"model_safetensors": None}, "has no .*safetensors"),
    ],
)
def test_a_broken_folder_is_refused_in_one_sentence(
    tmp_path: Path, files: dict[str, Any], message: str
) -> None:
    """Before anything is loaded."""
    with pytest.raises(ModelLoadFailed, match=message):
        read(folder(tmp_path, **files))


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    """A GGUF given to this engine, say."""
    file = tmp_path / "model.gguf"
    file.write_text("")
    with pytest.raises(ModelLoadFailed, match=r"model\.gguf is not a folder"):
        read(file)


@pytest.mark.parametrize(
    ("config", "matryoshka"),
    [
        ({}, False),
        ({"is_matryoshka": True}, True),
        ({"matryoshka_dimensions": [64, 128]}, (64, 128)),
    ],
)
def test_vectors_that_may_be_cut(tmp_path: Path, config: dict[str, Any], matryoshka: Any) -> None:
    """As vLLM's users write it into config.json too."""
    found = read(folder(tmp_path, config_json={"model_type": "x", **config}))
    assert found.matryoshka == matryoshka
