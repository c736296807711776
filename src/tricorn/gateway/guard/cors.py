"""Calls from pages in browsers: preflight answers, and headers that let a page read answers."""

from __future__ import annotations

from collections.abc import Collection

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException, NotFound

from tricorn.access.rate import HEADERS as RATE_HEADERS
from tricorn.gateway.record import IGNORED_HEADER, REQUEST_ID_HEADER, TRUNCATED_HEADER

EXPOSED = ", ".join(
    (REQUEST_ID_HEADER, IGNORED_HEADER, TRUNCATED_HEADER, *RATE_HEADERS, "retry-after")
)
METHODS = "GET, HEAD, POST, OPTIONS"
MANAGING_METHODS = f"{METHODS}, PATCH, DELETE"
DEFAULT_HEADERS = "authorization, content-type"
WANTED_METHOD = "Access-Control-Request-Method"
MAX_AGE_S = 86400


def register(app: Flask, origins: list[str], managing: Collection[str]) -> None:
    """origins: those that may call; `*` for any, empty for none.
    managing: blueprints that only origins which are named may call."""

    @app.before_request
    def preflight() -> Response | None:
        if not is_preflight():
            return None
        if isinstance(request.routing_exception, NotFound):
            return None
        return Response(status=204)

    @app.after_request
    def allow(response: Response) -> Response:
        origin = request.headers.get("Origin")
        if origin is None:
            return response
        manages = _blueprint(app) in managing
        if origin in origins:
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers.add("Vary", "Origin")
        elif "*" in origins and not manages:
            response.headers["Access-Control-Allow-Origin"] = "*"
        else:
            return response
        response.headers["Access-Control-Expose-Headers"] = EXPOSED
        if request.method == "OPTIONS":
            wanted = request.headers.get("Access-Control-Request-Headers")
            methods = MANAGING_METHODS if manages else METHODS
            response.headers["Access-Control-Allow-Methods"] = methods
            response.headers["Access-Control-Allow-Headers"] = wanted or DEFAULT_HEADERS
            response.headers["Access-Control-Max-Age"] = str(MAX_AGE_S)
        return response


def is_preflight() -> bool:
    """A browser asks whether a page may make a request; it brings no key."""
    return request.method == "OPTIONS" and WANTED_METHOD in request.headers


def _blueprint(app: Flask) -> str | None:
    """Of the route that is called, or that a preflight asks about."""
    method = request.headers.get(WANTED_METHOD) if request.method == "OPTIONS" else None
    if method is None:
        return request.blueprint
    try:
        endpoint, _ = app.create_url_adapter(request).match(method=method)  # type: ignore[union-attr]
    except HTTPException:
        return None
    return str(endpoint).rpartition(".")[0]
