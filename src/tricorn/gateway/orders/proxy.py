"""`/proxy/ID/...`: the same routes, with every request pinned to one named instance.

The prefix goes from PATH_INFO to SCRIPT_NAME before anything is routed, so that streams, uploads
and disconnects are the routes' own.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from flask import Flask, request
from werkzeug.exceptions import NotFound

from tricorn.gateway.orders import pinned
from tricorn.gateway.orders.ordering import ordered
from tricorn.gateway.services import services

PREFIX = "/proxy/"
ENVIRON = "tricorn.instance"


def register(app: Flask, pinnable: Collection[str]) -> None:
    """pinnable: the blueprints whose routes can be used so."""
    app.wsgi_app = _prefix_taken(app.wsgi_app)  # type: ignore[method-assign]

    @app.before_request
    def pin_down() -> None:
        instance = request.environ.get(ENVIRON)
        if instance is None or request.method == "OPTIONS":
            return
        if request.url_rule is not None and request.blueprint not in pinnable:
            raise NotFound
        pinned.pin(_find(instance))


def _find(instance: str) -> pinned.Pin:
    for model in services().everything().models:
        if model.instance_of is not None and model.id == f"{model.instance_of}@{instance}":
            return pinned.Pin(model.id, model.instance_of)
    # One that another gateway process has just made may not have come here yet.
    found = ordered("instances.get", id=instance)
    return pinned.Pin(str(found["model_id"]), str(found["model"]))


def _prefix_taken(wsgi_app: Callable[..., Any]) -> Callable[..., Any]:
    def app(environ: dict[str, Any], start_response: Any) -> Any:
        path = environ.get("PATH_INFO", "")
        if path.startswith(PREFIX):
            instance, slash, rest = path[len(PREFIX) :].partition("/")
            if instance and slash:
                environ["SCRIPT_NAME"] = environ.get("SCRIPT_NAME", "") + PREFIX + instance
                environ["PATH_INFO"] = slash + rest
                environ[ENVIRON] = instance
        return wsgi_app(environ, start_response)

    return app
