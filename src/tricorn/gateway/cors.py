"""Calls from pages in browsers: preflight answers, and headers that let a page read answers."""

from __future__ import annotations

from flask import Flask, Response, request
from werkzeug.exceptions import NotFound

from tricorn.gateway.record import IGNORED_HEADER, REQUEST_ID_HEADER, TRUNCATED_HEADER

EXPOSED = ", ".join((REQUEST_ID_HEADER, IGNORED_HEADER, TRUNCATED_HEADER, "retry-after"))
DEFAULT_HEADERS = "authorization, content-type"
MAX_AGE_S = 86400


def register(app: Flask, origins: list[str]) -> None:
    """origins: those that may call; `*` for any, empty for none."""

    @app.before_request
    def preflight() -> Response | None:
        if request.method != "OPTIONS" or "Access-Control-Request-Method" not in request.headers:
            return None
        if isinstance(request.routing_exception, NotFound):
            return None
        return Response(status=204)

    @app.after_request
    def allow(response: Response) -> Response:
        origin = request.headers.get("Origin")
        if origin is None:
            return response
        if "*" in origins:
            response.headers["Access-Control-Allow-Origin"] = "*"
        elif origin in origins:
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers.add("Vary", "Origin")
        else:
            return response
        response.headers["Access-Control-Expose-Headers"] = EXPOSED
        if request.method == "OPTIONS":
            wanted = request.headers.get("Access-Control-Request-Headers")
            response.headers["Access-Control-Allow-Methods"] = "GET, HEAD, POST, OPTIONS"
            response.headers["Access-Control-Allow-Headers"] = wanted or DEFAULT_HEADERS
            response.headers["Access-Control-Max-Age"] = str(MAX_AGE_S)
        return response
