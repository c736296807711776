"""`GET /v1/logs/recent` and `POST /v1/admin/log-level`"""

from __future__ import annotations

from flask import Blueprint, Response, request

from tricorn.errors import InvalidRequest
from tricorn.gateway.answers import respond
from tricorn.gateway.orders.managing import parse
from tricorn.gateway.orders.ordering import ordered
from tricorn.gateway.requests import query
from tricorn.schemas.management import LOG_LEVELS, LogLevelRequest

bp = Blueprint("logs", __name__)

LINES = 100
MAX_LINES = 1000


@bp.get("/v1/logs/recent")
def recent() -> Response:
    """The last lines of all shared log files, the oldest first."""
    limit = query.count(request.args, "limit", LINES, MAX_LINES)
    answer = ordered("logs.recent", limit=limit, level=_level(), model=request.args.get("model"))
    return respond.json(answer)


@bp.post("/v1/admin/log-level")
def level() -> Response:
    """Until the settings say otherwise, or the next start."""
    return respond.json(ordered("logs.level", level=parse(LogLevelRequest).level))


def _level() -> str:
    given = request.args.get("level") or "DEBUG"
    if given.upper() not in LOG_LEVELS:
        raise InvalidRequest(
            f"Invalid value for 'level': must be one of {', '.join(LOG_LEVELS)}, got "
            f"{given[:32]!r}.",
            param="level",
        )
    return given.upper()
