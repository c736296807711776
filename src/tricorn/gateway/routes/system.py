"""`GET /v1/system/status`, `health` and `metrics`, as JSON"""

from __future__ import annotations

from collections import Counter

from flask import Blueprint, Response

from tricorn import __version__
from tricorn.errors import ManagerUnavailable
from tricorn.gateway import respond
from tricorn.gateway.ordering import ordered
from tricorn.gateway.services import services

bp = Blueprint("system", __name__)


@bp.get("/v1/system/metrics")
def metrics() -> Response:
    """What the machine and Tricorn on it use, and what was served since the start."""
    return respond.json(ordered("system"))


@bp.get("/v1/system/status")
def status() -> Response:
    """The same, with what is loaded."""
    snapshot = services().snapshot()
    own = [model for model in snapshot.models if model.parent is None]
    figures = ordered("system")
    return respond.json(
        {
            **figures,
            "object": "system.status",
            "version": __version__,
            "ready": snapshot.ready,
            "reason": snapshot.reason,
            "default_model": snapshot.default_model,
            "models": {
                "total": len(own),
                "unusable": sum(model.fault is not None for model in own),
                "states": dict(Counter(model.state for model in own)),
            },
        }
    )


@bp.get("/v1/system/health")
def health() -> Response:
    """503 while no request could be served, with the reason."""
    try:
        snapshot = services().snapshot()
    except ManagerUnavailable as error:
        return respond.json({"status": "unhealthy", "reason": error.message}, status=503)
    told = {
        "status": "healthy" if snapshot.ready else "unhealthy",
        "reason": snapshot.reason,
        "loaded_models": [model.id for model in snapshot.models if model.state == "READY"],
        "failed_models": {
            model.id: model.trouble for model in snapshot.models if model.state == "FAILED"
        },
    }
    return respond.json(told, status=200 if snapshot.ready else 503)
