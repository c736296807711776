"""The application factory: `gunicorn -c gunicorn.conf.py 'tricorn.gateway.app:create_app()'`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from flask import Flask

from tricorn import logs
from tricorn.errors import StartupError
from tricorn.gateway import record, usage
from tricorn.gateway.answers import errors
from tricorn.gateway.guard import access, cors, origins, security_headers
from tricorn.gateway.http import forwarded, instance, lifeline
from tricorn.gateway.orders import proxy
from tricorn.gateway.routes import (
    anthropic,
    chat,
    completions,
    docs,
    embeddings,
    events,
    health,
    instances,
    keys,
    management,
    metrics,
    models,
    ollama,
    ollama_embed,
    ollama_manage,
    ollama_models,
    ranking,
    responses,
    system,
    tokens,
)
from tricorn.gateway.routes import (
    logs as log_routes,
)
from tricorn.gateway.services import EXTENSION, Manager, Services
from tricorn.settings.config import Settings
from tricorn.tracing import wanted

if TYPE_CHECKING:
    from tricorn.gateway.traces.tracing import Tracing

INFERENCE = (
    chat,
    completions,
    anthropic,
    ollama,
    ollama_embed,
    ollama_models,
    embeddings,
    ranking,
    responses,
    tokens,
    models,
)
"""What clients use models by; also below /proxy/ID."""
MANAGEMENT = (management, ollama_manage, instances, system, events, keys, log_routes, metrics)
"""What pages of other servers must not reach."""


def create_app(
    settings: Settings | None = None,
    manager: Manager | None = None,
    tracing: Tracing | None = None,
) -> Flask:
    """The gateway. Connects to nothing before its first request, so it can be preloaded.

    settings: None reads those of the instance in TRICORN_RUN_DIR, or what is configured here.
    manager: None connects to the one in the run directory. Tests give their own.
    tracing: None as the environment wants it; StartupError where that cannot be.
    """
    if settings is None:
        settings = instance.settings()
        logs.set_up(level=settings.log_level, json=settings.log_json(), process="gateway")
    run_dir = instance.run_dir(settings)

    app = Flask("tricorn.gateway", static_folder=None)
    # POST bodies do not survive the redirects that Flask would answer with.
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    services = Services(settings, run_dir, manager)
    app.extensions[EXTENSION] = services

    # Its headers come last, where none of the others has set them.
    security_headers.register(app, https=settings.tls_cert is not None)
    record.register(app)
    tracing = tracing or _tracing()
    if tracing is not None:
        tracing.register(app, services)
    managing = {family.bp.name for family in MANAGEMENT}
    using = {family.bp.name for family in INFERENCE}
    cors.register(app, settings.cors_origins, managing)
    origins.register(app, managing, settings.cors_origins, settings.host)
    access.register(app, settings, services.key_book)
    proxy.register(app, using)
    forwarded.register(app, settings.trusted_proxies, settings.proxy_headers)
    counter = usage.register(app, services, using)
    errors.register(app)
    for family in (*INFERENCE, *MANAGEMENT, health, docs):
        app.register_blueprint(family.bp)
    managed = os.environ.get(lifeline.MANAGED) == "1"

    def start() -> None:
        logs.copy_to(counter.line)
        if tracing is not None:
            tracing.start()
        if managed:
            lifeline.hold(run_dir, services.connected)

    def end() -> None:
        counter.flush()
        if tracing is not None:
            tracing.close()

    services.on_start = start
    services.on_end = end
    return app


def _tracing() -> Tracing | None:
    if fault := wanted.fault(os.environ):
        raise StartupError(fault)
    if not wanted.wanted(os.environ):
        return None
    # Only here: OpenTelemetry is an extra.
    from tricorn.gateway.traces.tracing import Tracing

    return Tracing()
