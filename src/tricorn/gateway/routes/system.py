"""`GET /v1/system/status`, `health` and `metrics`, as JSON"""

from __future__ import annotations

from collections import Counter

from flask import Blueprint, Response

from tricorn import __version__
from tricorn.errors import ManagerUnavailable
from tricorn.gateway.answers import respond
from tricorn.gateway.guard import access
from tricorn.gateway.orders.ordering import ordered
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
    figures, default = ordered("system"), snapshot.default_model
    if access.is_limited():
        may_use = access.allowing(lambda: services().everything().models)
        details = figures["details"]
        shown = [model for model in details["models"] if may_use(model)]
        figures = figures | {"details": details | {"models": shown}}
        default = default if default is not None and may_use(default) else None
    return respond.json(
        {
            **figures,
            "object": "system.status",
            "version": __version__,
            "ready": snapshot.ready,
            "reason": snapshot.reason,
            "default_model": default,
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
