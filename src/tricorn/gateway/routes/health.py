"""`GET /` (what this is), `/health` (this process is up), `/ready` (it can serve)"""

from __future__ import annotations

from flask import Blueprint, Response

from tricorn import __version__
from tricorn.errors import ManagerUnavailable
from tricorn.gateway.answers import respond
from tricorn.gateway.services import services

bp = Blueprint("health", __name__)


@bp.get("/")
def about() -> Response:
    return respond.json(
        {
            "name": "tricorn",
            "version": __version__,
            "api": "/v1",
            "models": "/v1/models",
            "health": "/health",
            "ready": "/ready",
            "docs": "/docs",
            "openapi": "/openapi.json",
        }
    )


@bp.get("/health")
def health() -> Response:
    return respond.json({"status": "ok"})


@bp.get("/ready")
def ready() -> Response:
    """200 when a request could be served now, otherwise 503 with the reason."""
    try:
        snapshot = services().snapshot()
    except ManagerUnavailable as error:
        return respond.json({"status": "not_ready", "reason": error.message}, status=503)
    if not snapshot.ready:
        return respond.json({"status": "not_ready", "reason": snapshot.reason}, status=503)
    return respond.json({"status": "ready", "reason": snapshot.reason})
