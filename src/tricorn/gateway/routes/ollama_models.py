"""Ollama's `/api/tags`, `/api/show`, `/api/ps` and `/api/version`, and what has no counterpart"""

from __future__ import annotations

from flask import Blueprint, Response, request

from tricorn import __version__
from tricorn.errors import ModelNotFound, UnsupportedParameter
from tricorn.gateway import ollama_shapes, respond
from tricorn.gateway.incoming import parse
from tricorn.gateway.ollama_names import resolve
from tricorn.gateway.services import services
from tricorn.manager.protocol import ModelInfo
from tricorn.schemas.ollama.models import OllamaShow

bp = Blueprint("ollama_models", __name__)

API_VERSION = "0.12.11"
"""The release of Ollama whose API this is: clients compare it with the one that they need."""


@bp.get("/api/version")
def version() -> Response:
    return respond.json({"version": API_VERSION, "tricorn": __version__})


@bp.get("/api/tags")
def tags() -> Response:
    return respond.json(ollama_shapes.tags(services().snapshot().models))


@bp.get("/api/ps")
def running() -> Response:
    return respond.json(ollama_shapes.running(services().snapshot().models))


@bp.post("/api/show")
def show() -> Response:
    """Loads nothing: what only a loaded model tells is left out of one that is not."""
    call = parse(OllamaShow, curl=True)
    model = _find(call.model)
    template = None
    if model.state == "READY":
        template = respond.visited(model.id).model.chat_template
    return respond.json(ollama_shapes.shown(model, template))


@bp.post("/api/pull")
@bp.post("/api/create")
@bp.post("/api/copy")
@bp.post("/api/push")
@bp.delete("/api/delete")
def not_done() -> Response:
    raise UnsupportedParameter(
        f"{request.path} is not supported by this version of Tricorn: models are files and folders "
        "below MODEL_BASE_PATH, and entries in tricorn.yaml. What is put there is served without a "
        "restart."
    )


def _find(name: str) -> ModelInfo:
    models = {model.id: model for model in services().snapshot().models}
    wanted = resolve(name, models)
    if wanted not in models:
        there = ", ".join(known for known, model in models.items() if not model.fault) or "none"
        raise ModelNotFound(
            f"The model '{name}' does not exist. There are: {there}.", param="model"
        )
    return models[wanted]
