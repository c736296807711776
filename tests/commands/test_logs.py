"""`tricorn logs`."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tricorn.cli import build_parser
from tricorn.commands import logs as logs_command
from tricorn.errors import StartupError
from tricorn.log_files import reading

Run = Callable[..., list[str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The lines that are said, of a folder with three."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LOG_DIR", str(tmp_path / "logs"))
    (tmp_path / "logs").mkdir()
    lines = [
        {"timestamp": "1", "level": "info", "event": "request", "model": "m", "status": 200},
        {"timestamp": "2", "level": "error", "event": "odd", "model": "n\x1b[2J"},
        {"timestamp": "3", "level": "error", "event": "bad", "exception": "Trace\n  line"},
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (tmp_path / "logs" / "tricorn.log").write_text(text)

    def said(*flags: str) -> list[str]:
        found: list[str] = []
        arguments = build_parser().parse_args(["logs", *flags])
        assert logs_command.run(arguments, found.append) == 0
        return found

    return said


def test_lines_for_people(run: Run) -> None:
    """A terminal obeys none of them; an exception stands below its line."""
    first, second, third = run()
    assert first == "1 info     tricorn   request  model=m status=200"
    assert second == "2 error    tricorn   odd  model=n\\x1b[2J"
    assert third == "3 error    tricorn   bad\n    Trace\n      line"


def test_filters(run: Run) -> None:
    assert [line[0] for line in run("--level", "error")] == ["2", "3"]
    assert [line[0] for line in run("--model", "m")] == ["1"]
    assert [line[0] for line in run("-n", "1")] == ["3"]


def test_lines_as_json(run: Run) -> None:
    [line] = run("--model", "m", "--json")
    assert json.loads(line) | {"log": "tricorn"} == json.loads(line)
    assert json.loads(line)["status"] == 200


def test_files_of_another_user(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says so, rather than that there are no lines."""
    monkeypatch.setattr(os, "access", lambda path, mode: "tricorn.log" not in str(path))
    with pytest.raises(StartupError, match=r"tricorn\.log can be read by"):
        run()


def test_following(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """First what is there, then what comes."""

    def follow(*given: object) -> Iterator[reading.Line]:
        yield {"log": "inference", "timestamp": "4", "level": "info", "event": "new"}

    monkeypatch.setattr(reading, "follow", follow)
    assert [line[0] for line in run("-f", "-n", "1")] == ["3", "4"]


@pytest.mark.parametrize("flags", [["-n", "-1"], ["-n", "x"], ["--level", "loud"]])
def test_wrong_flags(flags: list[str]) -> None:
    with pytest.raises(SystemExit):
        build_parser().parse_args(["logs", *flags])
