"""Logging of a process."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from tricorn import logs


@pytest.fixture(autouse=True)
def unconfigured() -> Iterator[None]:
    """Leave structlog as it was for the tests after this one."""
    level = logs.level()
    yield
    logs.copy_to(None)
    logs.set_level(level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def test_json_lines_name_process_and_part(capsys: pytest.CaptureFixture[str]) -> None:
    """One JSON object a line, on stderr."""
    logs.set_up(json=True, process="manager")
    logs.get("pool").info("loaded", model="m")
    line = json.loads(capsys.readouterr().err)
    assert (line["event"], line["process"], line["part"]) == ("loaded", "manager", "pool")


def test_a_terminal_obeys_nothing_of_what_clients_send(capsys: pytest.CaptureFixture[str]) -> None:
    """Control characters are shown as escapes, and one event stays one line."""
    logs.set_up(json=False, process="manager")
    logs.get("pool").info("request", path="/\x1b]0;x\x07", model="a b\nc\x9b2J")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.isprintable()
    assert "/\\x1b]0;x\\x07" in line


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


@pytest.mark.parametrize("json", [True, False])
def test_variables_of_what_failed_are_not_shown(
    json: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """A key or a prompt may be among them; where it failed is shown."""
    logs.set_up(json=json, process="manager")

    def fails(key: str) -> None:
        raise ValueError("odd")

    try:
        fails("sk-" + "geheim")
    except ValueError:
        logs.get("pool").exception("failed")
    shown = capsys.readouterr().err
    assert "fails" in shown
    assert "sk-geheim" not in shown


def test_lines_are_copied_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """With the level, a time that sorts, and an exception's text, however the console looks; not
    those below the level, and not those that another file has."""
    lines: list[bytes] = []
    logs.set_up(json=False, process="manager")
    logs.copy_to(lines.append)
    log = logs.get("pool")
    log.info("loaded", model="m", path=Path("a/b"))
    log.debug("unheard")
    log.info("apart", **{logs.NOT_COPIED: True})
    try:
        raise ValueError("odd")
    except ValueError:
        log.exception("failed")
    logs.copy_to(None)
    log.info("later")
    first, second = [json.loads(line) for line in lines]
    assert first.pop("timestamp") <= second.pop("timestamp")
    assert first == {
        "level": "info",
        "event": "loaded",
        "model": "m",
        "path": "a/b",
        "part": "pool",
        "process": "manager",
    }
    assert (second["level"], second["event"]) == ("error", "failed")
    assert "ValueError: odd" in second["exception"]
    shown = capsys.readouterr().err
    assert all(word in shown for word in ("loaded", "apart", "later", "ValueError: odd"))
    assert logs.NOT_COPIED not in shown


def test_copies_of_other_threads_name_the_process() -> None:
    lines: list[bytes] = []
    logs.set_up(json=True, process="gateway")
    logs.copy_to(lines.append)
    thread = threading.Thread(target=logs.get("x").info, args=("said",))
    thread.start()
    thread.join()
    assert json.loads(lines[0])["process"] == "gateway"


def test_the_level_is_known() -> None:
    logs.set_level("WARNING")
    assert logs.level() == "WARNING"


def test_times_are_utc() -> None:
    assert logs.timestamp(1767225600.0625) == "2026-01-01T00:00:00.062Z"
