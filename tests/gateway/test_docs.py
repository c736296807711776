"""`/docs` and `/openapi.json`: who may read them, and that all of it comes from this server."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import urljoin

import pytest
from flask import Flask
from werkzeug.test import TestResponse

from tricorn.access.terms import Terms
from tricorn.gateway.services import EXTENSION

LOCKED = {"host": "0.0.0.0"}
"""Everybody needs a key."""
ADDRESSES = re.compile(r'(?:src|href|data-description)="([^"]+)"')


def get(app: Flask, path: str, **headers: str) -> TestResponse:
    return app.test_client().get(path, headers=headers)


def key(app: Flask) -> str:
    _, text = app.extensions[EXTENSION].keys.create("a reader", Terms())
    return str(text)


def test_the_page_needs_nothing_from_elsewhere(app: Flask) -> None:
    """All that it loads is relative to it and there; no script and no style stands in it."""
    page = get(app, "/docs")
    assert (page.status_code, page.mimetype) == (200, "text/html")
    addresses = ADDRESSES.findall(page.text)
    assert len(addresses) == 5
    for address in addresses:
        assert not re.match(r"[a-z]+:|/", address), address
        assert get(app, urljoin("/docs", address)).status_code == 200
    assert "http:" not in page.text
    assert "https:" not in page.text
    assert not re.search(r"<style|style=|\son[a-z]+=|<script[^>]*>[^<]", page.text)


def test_scripts_and_styles_load_nothing_from_elsewhere(app: Flask) -> None:
    """Swagger UI would show the description to a server of others, unless it is told not to."""
    style = get(app, "/docs/swagger-ui.css").text
    assert "@import" not in style
    assert not re.search(r"url\(\s*['\"]?(?:https?:)?//", style)
    start = get(app, "/docs/start.js")
    assert start.mimetype == "text/javascript"
    assert "validatorUrl: null" in start.text
    assert "http" not in start.text


def test_the_page_is_allowed_what_it_does(app: Flask) -> None:
    """By its Content-Security-Policy."""
    policy = get(app, "/docs").headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    for part in ("script-src 'self';", "style-src 'self'", "connect-src 'self'", "data:"):
        assert part in policy


def test_a_slash_too_many(app: Flask) -> None:
    """Leads back: below it the page's addresses would be wrong. Behind a proxy's path, too."""
    answer = get(app, "/docs/")
    assert answer.status_code == 308
    assert urljoin("https://host/llm/docs/", answer.headers["Location"]) == "https://host/llm/docs"


@pytest.mark.parametrize("path", ["/docs/nothing", "/docs/..%2Fplugins.py", "/docs/a/b"])
def test_nothing_else_is_given(app: Flask, path: str) -> None:
    """Not of the package, either."""
    assert get(app, path).status_code == 404


@pytest.mark.parametrize("path", ["/docs", "/docs/swagger-ui.css", "/openapi.json"])
def test_keys(make_app: Callable[..., Flask], path: str) -> None:
    """Where keys are needed, any key opens it, and DOCS_PUBLIC does."""
    locked = make_app(**LOCKED)
    assert get(locked, path).status_code == 401
    assert get(locked, path, Authorization=f"Bearer {key(locked)}").status_code == 200
    assert get(make_app(**LOCKED, docs_public=True), path).status_code == 200


def test_a_key_in_the_address(make_app: Callable[..., Flask]) -> None:
    """Is handed on to each part of the page, where it may be there at all."""
    app = make_app(**LOCKED, api_key_in_query=True)
    text = key(app)
    page = get(app, f"/docs?api_key={text}")
    for address in ADDRESSES.findall(page.text):
        assert get(app, urljoin("/docs", address)).status_code == 200
    assert text not in get(make_app(), f"/docs?api_key={text}").text


def test_what_the_description_says_of_keys(make_app: Callable[..., Flask]) -> None:
    """Where they are needed, none is not one of the ways."""
    app = make_app(**LOCKED, docs_public=True)
    paths = get(app, "/openapi.json").get_json()["paths"]
    assert {} not in paths["/v1/chat/completions"]["post"]["security"]
    assert paths["/openapi.json"]["get"]["security"] == []


def test_the_description_is_made_once(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """And not sent again to who has it."""
    first = get(app, "/openapi.json")
    monkeypatch.setattr("tricorn.gateway.openapi.document.document", None)
    assert get(app, "/openapi.json").data == first.data
    again = get(app, "/openapi.json", **{"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


def test_it_is_not_for_instances(app: Flask) -> None:
    """Below /proxy/ID there is only what uses models."""
    assert get(app, "/proxy/mine/docs").status_code == 404
