"""`GET /openapi.json`, and `/docs`, which shows it"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import quote

import orjson
from flask import Blueprint, Flask, Response, current_app, request, send_from_directory
from flask.blueprints import BlueprintSetupState
from gevent import get_hub, monkey
from werkzeug.exceptions import NotFound

from tricorn.gateway.openapi import docs_page
from tricorn.gateway.services import services

bp = Blueprint("docs", __name__)

EXTENSION = "tricorn.openapi"
MAX_AGE_S = 3600

ResultT = TypeVar("ResultT")


class Description:
    """The JSON of `/openapi.json`, made when it is first asked for: that takes about a second."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._json: bytes | None = None

    def json(self, app: Flask) -> bytes:
        with self._lock:
            if self._json is None:
                rules, settings = list(app.url_map.iter_rules()), services().settings

                def write() -> bytes:
                    from tricorn.gateway.openapi.document import document

                    return orjson.dumps(document(rules, settings))

                self._json = _apart(write)
        return self._json


def _apart(work: Callable[[], ResultT]) -> ResultT:
    """In a thread of the system's, so that streams of this process go on meanwhile."""
    if not monkey.is_module_patched("threading"):
        return work()
    result: ResultT = get_hub().threadpool.apply(work)
    return result


@bp.record_once
def _prepare(state: BlueprintSetupState) -> None:
    state.app.extensions[EXTENSION] = Description()


@bp.get("/openapi.json")
def openapi() -> Response:
    description: Description = current_app.extensions[EXTENSION]
    text = description.json(current_app._get_current_object())  # type: ignore[attr-defined]
    response = Response(text, mimetype="application/json")
    response.set_etag(hashlib.sha256(text).hexdigest()[:32])
    response.headers["Cache-Control"] = "no-cache"
    response.make_conditional(request)
    return response


@bp.get("/docs")
def docs() -> Response:
    if request.path.endswith("/"):
        # Below it the page's addresses would lead elsewhere.
        return Response(status=308, headers={"Location": "../docs"})
    # Who could only show a key in the address has to do so for each part of the page.
    key = request.args.get("api_key") if services().settings.api_key_in_query else None
    text = docs_page.page(f"?api_key={quote(key, safe='')}" if key else "")
    response = Response(text, mimetype="text/html")
    response.headers["Cache-Control"] = "no-cache"
    return response


@bp.get("/docs/<file>")
def part(file: str) -> Response:
    """Of the page."""
    if file == docs_page.START:
        response = Response(docs_page.SCRIPT, mimetype="text/javascript")
        response.headers["Cache-Control"] = f"max-age={MAX_AGE_S}"
        return response
    if file not in docs_page.FILES:
        raise NotFound
    return send_from_directory(docs_page.folder(), docs_page.FILES[file], max_age=MAX_AGE_S)
