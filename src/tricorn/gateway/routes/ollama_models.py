"""Ollama's `/api/tags`, `/api/show`, `/api/ps` and `/api/version`, and what has no counterpart"""

from __future__ import annotations

import contextlib
import time

from flask import Blueprint, Response, request

from tricorn import __version__
from tricorn.errors import ModelNotFound, UnsupportedParameter
from tricorn.gateway.answers import respond
from tricorn.gateway.ollama import shapes as ollama_shapes
from tricorn.gateway.ollama.names import resolve
from tricorn.gateway.orders import pinned
from tricorn.gateway.orders.ordering import ordered
from tricorn.gateway.requests.incoming import parse
from tricorn.gateway.services import services
from tricorn.manager.protocol.model_info import ModelInfo
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
    models = services().snapshot().models
    expires = {}
    for model in filter(ollama_shapes.is_running, models):
        with contextlib.suppress(ModelNotFound):  # gone meanwhile
            left_s = ordered("status", model=pinned.wanted(model.id))["expires_in_s"]
            if left_s is not None:
                expires[model.id] = time.time() + left_s
    return respond.json(ollama_shapes.running(models, expires))


@bp.post("/api/show")
def show() -> Response:
    """Loads nothing: what only a loaded model tells is left out of one that is not."""
    call = parse(OllamaShow, curl=True)
    model = _find(call.model)
    template = None
    if model.state == "READY":
        template = respond.visited(model.id).model.chat_template
    return respond.json(ollama_shapes.shown(model, template))


@bp.post("/api/create")
@bp.post("/api/copy")
@bp.post("/api/push")
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
