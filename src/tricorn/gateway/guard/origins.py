"""Keeps pages in browsers from managing a server that they can reach: a page may send a request to
any address, read of the answer or not."""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import urlsplit

from flask import Flask, request

from tricorn.errors import NotAllowed
from tricorn.loopback import is_loopback

SAFE = ("GET", "HEAD", "OPTIONS")


def register(app: Flask, managing: Collection[str], origins: Collection[str], host: str) -> None:
    """managing: the blueprints to be guarded. origins: those that may nevertheless, by name.
    host: the address that is listened on."""

    @app.before_request
    def guard() -> None:
        origin = request.headers.get("Origin")
        if origin is None or request.blueprint not in managing or request.method in SAFE:
            return
        if origin in origins or is_own(origin, request.host, listens_on=host):
            return
        raise NotAllowed(
            f"Pages of {origin[:200]} may not manage this server; CORS_ORIGINS names those that "
            "may."
        )


def is_own(origin: str, host: str, *, listens_on: str) -> bool:
    """Whether a page of `origin` comes from the server that it calls as `host`.

    A server on loopback is only believed by the names of loopback: any other name may be one that
    its owner has pointed there, to have his page look like ours.
    """
    try:
        page, called = urlsplit(origin), urlsplit(f"//{host}")
        if page.scheme not in ("http", "https") or page.netloc.lower() != host.lower():
            return False
        return is_loopback(called.hostname or "") or not is_loopback(listens_on)
    except ValueError:
        return False
