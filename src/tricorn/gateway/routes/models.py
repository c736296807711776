"""`GET /v1/models`, `GET /v1/models/{id}`, `GET /v1/models/{id}/capabilities`"""

from __future__ import annotations

from typing import Any

import msgspec
from flask import Blueprint, Response, request

from tricorn.engines.spec import EngineCapabilities
from tricorn.errors import ModelNotFound
from tricorn.gateway import anthropic_models
from tricorn.gateway.answers import respond
from tricorn.gateway.services import services
from tricorn.manager.protocol.model_info import ModelInfo
from tricorn.model_facts.facts import FileFacts
from tricorn.schemas import capabilities
from tricorn.schemas.cells import ModelFacts

bp = Blueprint("models", __name__)


@bp.get("/v1/models")
def index() -> Response:
    # Clients fill pick lists from this: a model that cannot be served does not belong there.
    models = [model for model in services().snapshot().models if model.fault is None]
    if _to_anthropic():
        return respond.json(anthropic_models.page(models, request.args))
    return respond.json({"object": "list", "data": [_model(model) for model in models]})


@bp.get("/v1/models/<path:model_id>")
def show(model_id: str) -> Response:
    model = _find(model_id)
    return respond.json(anthropic_models.shape(model) if _to_anthropic() else _model(model))


@bp.get("/v1/models/<path:model_id>/capabilities")
@bp.get("/v1/models/<path:model_id>/capabilities/")
def table(model_id: str) -> Response:
    return respond.json(capability_table(_find(model_id)))


def capability_table(model: ModelInfo) -> dict[str, Any]:
    """What becomes of each parameter on each endpoint, with this model."""
    facts = _facts(model)
    return {
        "object": "model.capabilities",
        "id": model.id,
        "engine": model.engine,
        "loaded": facts is not None,
        "dialect": _dialect(facts),
        "endpoints": msgspec.to_builtins(capabilities.table(facts)),
    }


def _to_anthropic() -> bool:
    """Both APIs have these paths; only Anthropic's clients name a version."""
    return "anthropic-version" in request.headers


def _find(model_id: str) -> ModelInfo:
    wanted = model_id.rstrip("/")
    models = services().snapshot().models
    for model in models:
        if model.id == wanted:
            return model
    there = ", ".join(model.id for model in models if model.fault is None) or "none"
    raise ModelNotFound(f"The model '{wanted}' does not exist. There are: {there}.", param="model")


def _facts(model: ModelInfo) -> ModelFacts | None:
    if model.capabilities is None or model.dialect is None:
        return None
    return ModelFacts(
        model.capabilities,
        model.dialect,
        model.dimensions,
        model.shorter_dimensions,
        is_adapter=model.parent is not None,
    )


def _dialect(facts: ModelFacts | None) -> dict[str, Any] | None:
    """What the model's chat template speaks; None without one."""
    if facts is None or not facts.dialect.chat:
        return None
    return {
        "tools": facts.dialect.tools,
        "reasoning": facts.dialect.reasoning or None,
        "template_variables": facts.dialect.variables,
    }


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
            **_from_its_files(model),
        },
    }


def _from_its_files(model: ModelInfo) -> dict[str, Any]:
    """What is known of it before it is loaded; None where its files do not tell."""
    known, estimate = model.facts or FileFacts(), model.estimate
    return {
        "architecture": known.architecture,
        "parameters": known.parameters,
        "quantisation": known.quantisation,
        "context_length_trained": known.context_trained,
        "capabilities_expected": None if model.facts is None else known.abilities,
        "memory_expected_bytes": None if estimate is None else estimate.total,
        "context_length_expected": None if estimate is None else estimate.context_length,
    }
