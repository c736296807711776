"""What is known of models, in the shapes of Ollama's API. Unknown texts are empty, as there."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from tricorn.chat.ollama.times import date
from tricorn.gateway.ollama.names import listed
from tricorn.manager.protocol.model_info import ModelInfo

_FORMATS = {"hf": "safetensors", "mlx": "safetensors", "lora": "safetensors"}
_LOADED = ("READY", "DRAINING")


def tags(models: Sequence[ModelInfo]) -> dict[str, Any]:
    """`/api/tags`: what can be served."""
    ids = {model.id for model in models}
    return {"models": [_entry(model, ids) for model in models if model.fault is None]}


def is_running(model: ModelInfo) -> bool:
    """It is loaded, and no adapter."""
    return model.state in _LOADED and model.parent is None


def running(models: Sequence[ModelInfo], expires: Mapping[str, float]) -> dict[str, Any]:
    """`/api/ps`: what is loaded. expires: by id, the Unix seconds at which it is unloaded if nobody
    uses it; the others are not unloaded by the clock."""
    ids = {model.id for model in models}
    shapes = []
    for model in filter(is_running, models):
        shape = _running(model, ids)
        if model.id in expires:
            shape["expires_at"] = date(int(expires[model.id]))
        shapes.append(shape)
    return {"models": shapes}


def shown(model: ModelInfo, template: str | None) -> dict[str, Any]:
    """`/api/show`; template: None where it is not known."""
    shape: dict[str, Any] = {
        "details": _details(model),
        "model_info": _info(model),
        "modified_at": date(model.created),
    }
    if model.context_length is not None:
        # Clients ask for as much by `num_ctx` as they read here.
        shape["parameters"] = f"num_ctx {model.context_length}"
    if template is not None:
        shape["template"] = template
    if model.capabilities is not None:
        shape["capabilities"] = _capabilities(model)
    return shape


def _entry(model: ModelInfo, ids: set[str]) -> dict[str, Any]:
    name = listed(model.id, ids)
    return {
        "name": name,
        "model": name,
        "modified_at": date(model.created),
        "size": model.size_bytes,
        "digest": _digest(model),
        "details": _details(model),
    }


def _running(model: ModelInfo, ids: set[str]) -> dict[str, Any]:
    shape = _entry(model, ids)
    del shape["modified_at"]
    if model.memory_bytes is None:
        del shape["size"]
    else:
        shape["size"] = model.memory_bytes
    if model.device == "cpu":
        shape["size_vram"] = 0
    elif model.device and model.memory_bytes is not None:
        shape["size_vram"] = model.memory_bytes
    if model.context_length is not None:
        shape["context_length"] = model.context_length
    return shape


def _digest(model: ModelInfo) -> str:
    """Of its entry in the catalog, not of its files: another one once they have changed."""
    facts = (model.id, model.format, model.size_bytes, model.created)
    return hashlib.sha256(msgspec.json.encode(facts)).hexdigest()


def _details(model: ModelInfo) -> dict[str, Any]:
    family = _text(model, "architecture")
    return {
        "parent_model": model.parent or "",
        "format": _FORMATS.get(model.format, model.format),
        "family": family,
        "families": [family] if family else None,
        "parameter_size": _count(model.details.get("parameters")),
        "quantization_level": _text(model, "quantization"),
    }


def _info(model: ModelInfo) -> dict[str, Any]:
    """Ollama gives a GGUF file's metadata here; keys of the same names have the same meaning."""
    info: dict[str, Any] = {f"tricorn.{name}": value for name, value in model.details.items()}
    info["tricorn.engine"] = model.engine
    architecture = _text(model, "architecture")
    if architecture:
        info["general.architecture"] = architecture
    if model.details.get("parameters"):
        info["general.parameter_count"] = model.details["parameters"]
    if model.context_length is not None:
        info[f"{architecture or 'tricorn'}.context_length"] = model.context_length
    if model.dimensions is not None:
        info[f"{architecture or 'tricorn'}.embedding_length"] = model.dimensions
    return info


def _capabilities(model: ModelInfo) -> list[str]:
    can, dialect = model.capabilities, model.dialect
    assert can is not None
    chats = can.generate and dialect is not None and dialect.chat
    abilities = {
        "completion": can.generate,
        "embedding": can.embed,
        "insert": can.fill_in_middle,
        # Where the template knows none they are described in plain words.
        "tools": chats,
        "thinking": chats and dialect is not None and bool(dialect.reasoning),
        "vision": can.vision,
    }
    return [name for name, there in abilities.items() if there]


def _text(model: ModelInfo, name: str) -> str:
    value = model.details.get(name)
    return value if isinstance(value, str) else ""


def _count(parameters: object) -> str:
    """`134.5M`"""
    if not isinstance(parameters, int):
        return ""
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e3, "K")):
        if parameters >= size:
            return f"{parameters / size:.1f}{letter}"
    return str(parameters)
