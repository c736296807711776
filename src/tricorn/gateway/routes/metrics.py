"""`GET /metrics`: what Prometheus reads"""

from __future__ import annotations

from flask import Blueprint, Response

from tricorn.gateway.orders.ordering import ordered
from tricorn.metrics.exposition import CONTENT_TYPE

bp = Blueprint("metrics", __name__)


@bp.get("/metrics")
def metrics() -> Response:
    """The manager's, which sums up all gateways. No model is loaded or woken for it."""
    return Response(ordered("metrics")["text"], content_type=CONTENT_TYPE)
