"""Tests of `tricorn.settings.hidden_flags`, and that the commands use it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tricorn import cli, launch
from tricorn.settings.hidden_flags import hide


@pytest.mark.parametrize(
    ("argv", "left", "keys"),
    [
        (["--port", "1"], ["--port", "1"], None),
        (["--api-key", "a", "--port", "1"], ["--port", "1"], "a"),
        (["--api-key=a", "--api-key", "b"], [], "a,b"),
        (["--api-key"], ["--api-key"], None),
        (["--ap", "a", "--api-k=b", "--arg", "c"], ["--arg", "c"], "a,b"),
        (["--debug", "--", "--api-key", "a"], ["--debug", "--", "--api-key", "a"], None),
    ],
)  # fmt: skip
def test_hide(argv: list[str], left: list[str], keys: str | None) -> None:
    """Into the environment, over what it says."""
    environ = {"API_KEYS": "before"}
    assert hide(argv, environ) == left
    assert environ["API_KEYS"] == (keys or "before")


@pytest.mark.skipif(os.name != "posix", reason="elsewhere a process cannot replace itself")
def test_serve_goes_on_without_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the list of processes there are none."""
    found: list[list[str]] = []

    def become(path: str, argv: list[str]) -> None:
        found.append(argv)
        raise SystemExit

    monkeypatch.setenv("API_KEYS", "")
    monkeypatch.setattr(os, "execv", become)
    with pytest.raises(SystemExit):
        cli.main(["serve", "--api-key", "password1", "--port", "1"])
    assert found == [[sys.executable, "-m", "tricorn.cli", "serve", "--port", "1"]]
    assert os.environ["API_KEYS"] == "password1"


@pytest.mark.skipif(os.name != "posix", reason="elsewhere a process cannot replace itself")
def test_other_commands_do_so_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Theirs is the key for a server."""
    found: list[list[str]] = []

    def become(path: str, argv: list[str]) -> None:
        found.append(argv)
        raise SystemExit

    monkeypatch.setenv("TRICORN_API_KEY", "")
    monkeypatch.setattr(os, "execv", become)
    with pytest.raises(SystemExit):
        cli.main(["models", "ls", "--api-key", "password1", "--json"])
    assert found == [[sys.executable, "-m", "tricorn.cli", "models", "ls", "--json"]]
    assert os.environ["TRICORN_API_KEY"] == "password1"
    assert "password1" not in os.environ.get("API_KEYS", "")


def test_run_py_hands_none_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What it becomes has them in its environment."""
    found: list[list[str]] = []

    def become(command: list[str]) -> int:
        found.append(command)
        return 0

    python = launch.installer.gateway_environment(tmp_path).python
    python.parent.mkdir(parents=True)
    python.touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("API_KEYS", "")
    monkeypatch.setattr(launch, "_become", become)
    code: Any = launch.main(["--skip-check", "--api-key", "password1"], tmp_path)
    assert code == 0
    assert "password1" not in " ".join(found[0])
    assert os.environ["API_KEYS"] == "password1"
    monkeypatch.setenv("TRICORN_API_KEY", "")
    monkeypatch.setattr(launch, "_ensure_gateway", lambda *given: None)
    assert launch.main(["models", "ls", "--api-key", "password2"], tmp_path) == 0
    assert found[1][1:] == ["-m", "tricorn.cli", "models", "ls"]
    assert os.environ["TRICORN_API_KEY"] == "password2"
