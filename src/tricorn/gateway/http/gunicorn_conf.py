"""gunicorn's configuration: what its master executes first, in every way that it can be started.

A manager starts gunicorn with TRICORN_MANAGED=1 and TRICORN_RUN_DIR. By hand, gunicorn.conf.py in
the project's folder imports all of this; then the gateway uses the manager that runs already, or
one that is started here and ends with gunicorn.

reuse_port stays off: each worker would bind for itself, so a port in use would go unnoticed,
connections waiting for a worker that dies would be lost, and there would be none to wait at while
the only worker reloads.
"""

# ruff: noqa: E402 (patching comes before every other import, or locks made before it stay real)

from __future__ import annotations

from gevent import monkey

monkey.patch_all()

import math
import os
import sys
from pathlib import Path
from typing import Any

from tricorn import logs
from tricorn.errors import StartupError
from tricorn.gateway.http import instance, lifeline, open_files
from tricorn.gateway.http.certificate import Certificate
from tricorn.gateway.http.companion import Companion, end_with_parent
from tricorn.gateway.http.gunicorn_log import GunicornLog
from tricorn.gateway.http.patience import Patience
from tricorn.gateway.services import EXTENSION, Services
from tricorn.tracing import wanted

_certificate: Certificate | None = None
try:
    _settings = instance.settings()
    _patience = Patience.of(_settings)
    if _settings.tls_cert is not None:
        # Read before workers are forked: one that follows another then has at least this one.
        _certificate = Certificate(_settings.tls_cert, _settings.tls_key, _patience)
except StartupError as error:
    sys.exit(f"tricorn: {error.message}")
if _untraceable := wanted.fault(os.environ):
    sys.exit(f"tricorn: {_untraceable}")
logs.set_up(level=_settings.log_level, json=_settings.log_json(), process="gateway")

_managed = os.environ.get(lifeline.MANAGED) == "1"
_run_dir = instance.run_dir(_settings)
_companion: Companion | None = None
if _managed:
    end_with_parent()
else:
    # For create_app, which is called in this process or one forked from it.
    os.environ[instance.RUN_DIR] = str(_run_dir)

_host = f"[{_settings.host}]" if ":" in _settings.host else _settings.host
_listener = os.environ.pop("TRICORN_LISTENER", None) if _managed else None
# A manager's is handed from each gateway to the next one, so that no connection is ever refused.
bind = f"fd://{_listener}" if _listener else f"{_host}:{_settings.port}"
workers = _settings.gateway_workers()
worker_class = "tricorn.gateway.http.gunicorn_worker.Worker"
worker_connections = open_files.connections(_settings.max_connections)
if _settings.tls_cert is not None:
    certfile = keyfile = str(_settings.tls_cert)
# What proxies say is read in gateway/http/forwarded.py, from trusted ones, and nowhere else.
forwarded_allow_ips = ""
secure_scheme_headers: dict[str, str] = {}
forwarder_headers = ""
limit_request_line = 8190
limit_request_fields = 100
limit_request_field_size = 8190
# Forked from one loaded application, workers share most of their memory. In dev each loads its own,
# so that `reload` brings changed sources in; the loaded models live in other processes.
preload_app = _settings.mode == "prod"
reload = _settings.mode == "dev"
# A recycled worker would cut its streams.
max_requests = 0
# A manager says itself when it is enough: sooner where Tricorn ends than where it is replaced.
graceful_timeout = 24 * 3600 if _managed else max(1, math.ceil(_settings.drain_timeout_s))
timeout = 60
keepalive = max(1, math.ceil(_settings.keepalive_timeout_s))
# The default control socket is one for all of a user's gunicorns.
control_socket_disable = True
# Heartbeat files on a disk that stalls would get healthy workers killed.
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None
accesslog = None
errorlog = "-"
loglevel = "warning"
logger_class = GunicornLog
proc_name = "tricorn-gateway"


def on_starting(server: Any) -> None:
    """Have a manager when gunicorn was started by hand."""
    global _companion
    pid = instance.manager_pid(_run_dir)
    if not _managed and (pid is None or not instance.is_alive(pid)):
        _companion = Companion(_settings, _run_dir)


def ssl_context(config: Any, default: Any) -> Certificate | None:
    """What the worker makes TLS connections with."""
    return _certificate


def post_worker_init(worker: Any) -> None:
    """Connect to the manager now: it pushes what the first request needs."""
    worker.patience, worker.certificate = _patience, _certificate
    services = getattr(worker.wsgi, "extensions", {}).get(EXTENSION)
    if isinstance(services, Services):
        services.start()


def worker_exit(server: Any, worker: Any) -> None:
    """Tell the manager the last of what was counted."""
    services = getattr(getattr(worker, "wsgi", None), "extensions", {}).get(EXTENSION)
    if isinstance(services, Services):
        services.on_end()


def on_exit(server: Any) -> None:
    """End the manager that was started here."""
    if _companion is not None:
        _companion.end(_settings.drain_timeout_s)
