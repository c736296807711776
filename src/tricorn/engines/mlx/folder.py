"""What the files beside the weights of a Hugging Face (or MLX) folder say. Pure: JSON and text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tricorn.engines.chat_templates import Templates, in_folder
from tricorn.errors import ModelLoadFailed


@dataclass(frozen=True)
class ModelFolder:
    path: Path
    model_type: str
    weight_bytes: int
    """Of the files."""
    context_trained: int | None
    """Tokens; None where config.json doesn't say."""
    end_tokens: frozenset[int]
    """Ids that config.json and generation_config.json name as ends of an answer."""
    templates: Templates
    bos_token: str
    eos_token: str
    quantization: str | None
    """For people, like `4 bits`; None for plain weights."""
    for_embeddings: bool
    """It has the file by which sentence-transformers describes how vectors are made."""
    matryoshka: bool | tuple[int, ...]
    """Trained for shorter vectors: of any length, or of these."""


def read(path: Path) -> ModelFolder:
    """ModelLoadFailed where the folder is not one of a model."""
    if not path.is_dir():
        raise ModelLoadFailed(
            f"{path.name} is not a folder: mlx loads a folder with config.json, tokenizer.json and "
            "*.safetensors"
        )
    config = _object(path / "config.json", required=True)
    model_type = config.get("model_type")
    if not isinstance(model_type, str):
        raise ModelLoadFailed(f"{path.name}/config.json does not name a model_type")
    weights = [file.stat().st_size for file in path.glob("*.safetensors")]
    if not weights:
        raise ModelLoadFailed(f"{path.name} has no *.safetensors: are the weights still missing?")
    tokenizer_config = _object(path / "tokenizer_config.json")
    special = {**_object(path / "special_tokens_map.json"), **_present(tokenizer_config)}
    return ModelFolder(
        path=path,
        model_type=model_type,
        weight_bytes=sum(weights),
        context_trained=_context(config),
        end_tokens=frozenset(
            token
            for source in (config, _text_config(config), _object(path / "generation_config.json"))
            for token in _ids(source.get("eos_token_id"))
        ),
        templates=in_folder(path, _object),
        bos_token=_token_text(special.get("bos_token")),
        eos_token=_token_text(special.get("eos_token")),
        quantization=_quantization(config),
        for_embeddings=(path / "modules.json").is_file(),
        matryoshka=(
            tuple(_ids(config.get("matryoshka_dimensions"))) or config.get("is_matryoshka") is True
        ),
    )


def _object(path: Path, *, required: bool = False) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        if not required:
            return {}
        raise ModelLoadFailed(f"{path.parent.name} has no {path.name}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise ModelLoadFailed(
            f"{path.parent.name}/{path.name} cannot be read ({error}): is the download complete?"
        ) from error
    if not isinstance(value, dict):
        raise ModelLoadFailed(f"{path.parent.name}/{path.name} does not hold a JSON object")
    return value


def _present(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _text_config(config: dict[str, Any]) -> dict[str, Any]:
    """Multimodal models describe their language model apart."""
    inner = config.get("text_config")
    return inner if isinstance(inner, dict) else {}


def _context(config: dict[str, Any]) -> int | None:
    for source in (_text_config(config), config):
        for name in ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length"):
            value = source.get(name)
            if isinstance(value, int) and value > 0:
                return value
    return None


def _ids(value: Any) -> list[int]:
    values = value if isinstance(value, list) else [value]
    return [token for token in values if isinstance(token, int)]


def _token_text(value: Any) -> str:
    """A special token is written as its text or as an object that holds it."""
    if isinstance(value, Mapping):
        value = value.get("content")
    return value if isinstance(value, str) else ""


def _quantization(config: dict[str, Any]) -> str | None:
    found = config.get("quantization") or config.get("quantization_config")
    if not isinstance(found, dict):
        return None
    bits = found.get("bits")
    return f"{bits} bits" if bits is not None else str(found.get("quant_method", "quantised"))
