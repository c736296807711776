"""`GET /v1/models`, `GET /v1/models/{id}`"""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response

from tricorn.engines.base import EngineCapabilities
from tricorn.errors import ModelNotFound
from tricorn.gateway import respond
from tricorn.gateway.services import services
from tricorn.manager.protocol import ModelInfo

bp = Blueprint("models", __name__)


@bp.get("/v1/models")
def index() -> Response:
    # Clients fill pick lists from this: a model that cannot be served does not belong there.
    models = [model for model in services().snapshot().models if model.fault is None]
    return respond.json({"object": "list", "data": [_model(model) for model in models]})


@bp.get("/v1/models/<path:model_id>")
def show(model_id: str) -> Response:
    wanted = model_id.rstrip("/")
    models = services().snapshot().models
    for model in models:
        if model.id == wanted:
            return respond.json(_model(model))
    there = ", ".join(model.id for model in models if model.fault is None) or "none"
    raise ModelNotFound(f"The model '{wanted}' does not exist. There are: {there}.", param="model")


def _names(capabilities: EngineCapabilities | None) -> list[str] | None:
    """What its engine can do with it; None before it was ever loaded."""
    if capabilities is None:
        return None
    return [name for name in capabilities.__struct_fields__ if getattr(capabilities, name)]


def _model(model: ModelInfo) -> dict[str, Any]:
    """OpenAI's model object, and what Tricorn knows beyond it."""
    return {
        "id": model.id,
        "object": "model",
        "created": model.created,
        "owned_by": "tricorn",
        "root": model.parent or model.id,
        "parent": model.parent,
        "tricorn": {
            "engine": model.engine,
            "engine_reason": model.engine_reason,
            "format": model.format,
            "size_bytes": model.size_bytes,
            "state": model.state,
            "context_length": model.context_length,
            "capabilities": _names(model.capabilities),
            "fault": model.trouble,
        },
    }
