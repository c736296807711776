"""Headers that keep browsers from doing more with an answer than it is for."""

from __future__ import annotations

from urllib.parse import urlsplit

from flask import Flask, Response, request

from tricorn.loopback import is_loopback

CSP = "Content-Security-Policy"
PLAIN = (
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    (CSP, "default-src 'none'; frame-ancestors 'none'"),
    ("Cache-Control", "no-store"),
)
"""Of what is no page: an answer may hold what only its caller should see."""
DOCS = "/docs"
DOCS_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self' data:; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
"""Of the page whose scripts are files of this server. Swagger UI sets styles at its elements, and
has small pictures in its style sheet."""
HSTS = "max-age=31536000"


def register(app: Flask, *, https: bool) -> None:
    """https: the gateway itself has a certificate; behind a proxy that has one, it is the proxy's
    to say so. To be called before what else adds headers: what a route has set then stays."""

    @app.after_request
    def protect(response: Response) -> Response:
        if request.path == DOCS:
            response.headers.setdefault(CSP, DOCS_CSP)
        for name, value in PLAIN:
            response.headers.setdefault(name, value)
        # On localhost it would hold for every port of this machine.
        if https and not is_loopback(_name(request.host)):
            response.headers["Strict-Transport-Security"] = HSTS
        return response


def _name(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
