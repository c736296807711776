"""Logging of a process."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator

import pytest
import structlog

from tricorn import logs


@pytest.fixture(autouse=True)
def unconfigured() -> Iterator[None]:
    """Leave structlog as it was for the tests after this one."""
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def test_json_lines_name_process_and_part(capsys: pytest.CaptureFixture[str]) -> None:
    """One JSON object a line, on stderr."""
    logs.set_up(json=True, process="manager")
    logs.get("pool").info("loaded", model="m")
    line = json.loads(capsys.readouterr().err)
    assert (line["event"], line["process"], line["part"]) == ("loaded", "manager", "pool")


def test_lines_below_the_level_are_dropped(capsys: pytest.CaptureFixture[str]) -> None:
    """LOG_LEVEL holds."""
    logs.set_up(level="WARNING", json=True, process="manager")
    logs.get("pool").info("loaded")
    assert capsys.readouterr().err == ""


def test_a_replaced_stderr_gets_the_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    """A logger that was used before goes on when its stream was closed and replaced."""
    first, second = io.StringIO(), io.StringIO()
    logs.set_up(json=True, process="manager")
    log = logs.get("pool")
    monkeypatch.setattr("sys.stderr", first)
    log.info("one")
    first.close()
    monkeypatch.setattr("sys.stderr", second)
    log.info("two")
    assert json.loads(second.getvalue())["event"] == "two"


def test_the_level_can_change(capsys: pytest.CaptureFixture[str]) -> None:
    """Also for a logger that was used before."""
    logs.set_up(level="INFO", json=True, process="manager")
    log = logs.get("pool")
    log.debug("one")
    logs.set_level("DEBUG")
    log.debug("two")
    logs.set_level("ERROR")
    log.warning("three")
    log.error("four")
    lines = capsys.readouterr().err.splitlines()
    assert [json.loads(line)["event"] for line in lines] == ["two", "four"]
