"""Whether traces are wanted, by OpenTelemetry's standard variables. Standard library only."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
"""The first that is set counts."""
HTTP = "http/protobuf"
EXPORTER = "OTEL_TRACES_EXPORTER"
MODULES = ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")


def wanted(environ: Mapping[str, str]) -> bool:
    """An address to send them to is set, and nothing says otherwise."""
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    if environ.get(EXPORTER, "").strip().lower() == "none":
        return False
    return any(environ.get(name, "").strip() for name in ENDPOINTS)


def fault(environ: Mapping[str, str]) -> str | None:
    """Why wanted traces cannot be had, in a sentence; None where they can, or are not wanted."""
    if not wanted(environ):
        return None
    protocol = next(filter(environ.get, PROTOCOLS), None)
    if protocol is not None and environ[protocol].strip() != HTTP:
        return (
            f"{protocol} is {environ[protocol]}, but traces are sent by {HTTP} only: set it to"
            " that, and the endpoint to the collector's HTTP port (4318)"
        )
    exporter = environ.get(EXPORTER, "").strip()
    if exporter not in ("", "otlp"):
        return f"{EXPORTER} is {exporter}, but traces are sent by otlp only: set it to that or none"
    if not all(map(_is_there, MODULES)):
        return (
            "traces are wanted (OTEL_EXPORTER_OTLP_ENDPOINT), but their packages are missing: "
            "pip install 'tricorn[tracing]'"
        )
    return None


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # one that it is in
        return False
