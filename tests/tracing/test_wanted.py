"""Tests of `tricorn.tracing.wanted`, and of what a process does without traces."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tricorn.errors import StartupError
from tricorn.gateway.app import create_app
from tricorn.settings.config import Settings
from tricorn.tracing import wanted

THERE = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}
ONLY_TRACES = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, False),
        ({"OTEL_SERVICE_NAME": "mine"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": ""}, False),
        (THERE, True),
        (ONLY_TRACES, True),
        (THERE | {"OTEL_SDK_DISABLED": "True"}, False),
        (THERE | {"OTEL_SDK_DISABLED": "false"}, True),
        (THERE | {"OTEL_TRACES_EXPORTER": "none"}, False),
    ],
)
def test_when_they_are_wanted(environ: dict[str, str], expected: bool) -> None:
    assert wanted.wanted(environ) is expected
    assert wanted.fault(environ) is None


@pytest.mark.parametrize(
    ("variable", "value", "part"),
    [
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "PROTOCOL is grpc, but traces are sent by http/pr"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json", "_TRACES_PROTOCOL is http/json"),
        ("OTEL_TRACES_EXPORTER", "zipkin", "set it to that or none"),
    ],
)
def test_what_is_not_done_is_refused(variable: str, value: str, part: str) -> None:
    """In one sentence with the fix; where no traces are wanted, it does not matter."""
    assert part in (wanted.fault(THERE | {variable: value}) or "")
    assert wanted.fault({variable: value}) is None


def test_the_protocol_of_traces_goes_before_that_of_all() -> None:
    mine = {
        "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/protobuf",
    }
    assert wanted.fault(THERE | mine) is None


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With what installs them, by a gateway too, which then does not start."""
    monkeypatch.setattr(wanted, "MODULES", ("no_such_package.at_all",))
    monkeypatch.setenv(*next(iter(THERE.items())))
    with pytest.raises(StartupError, match=r"pip install 'tricorn\[tracing\]'"):
        create_app(Settings(run_dir=tmp_path / "run", data_dir=tmp_path))


def test_without_traces_nothing_of_opentelemetry_is_imported(tmp_path: Path) -> None:
    """By no process; an engine worker never imports it."""
    code = (
        "import sys, tricorn.cli, tricorn.manager.service, tricorn.manager.client\n"
        "import tricorn.worker.server, tricorn.worker.process\n"
        "from tricorn.settings.config import Settings\n"
        "from tricorn.gateway.app import create_app\n"
        f"create_app(Settings(run_dir={str(tmp_path)!r}, data_dir={str(tmp_path)!r}))\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL")}
    source = Path(__file__).parents[2] / "src"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment | {"PYTHONPATH": str(source)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
