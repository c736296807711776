"""Tests of `tricorn gateway`; tests/e2e/test_gateway_restart.py has it with a server."""

from __future__ import annotations

from typing import Any

import pytest

from tricorn import cli
from tricorn.commands.server_client import ServerClient, ServerRefused

TOLD = {
    "object": "gateway.restart",
    "pid": 12,
    "replaced_pid": 7,
    "workers": 2,
    "duration_s": 1.25,
    "changed": ["workers"],
    "needs_restart": ["port"],
}


def test_restart(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """What serves now, and what of the settings that has changed and has not."""
    asked: list[tuple[str, ...]] = []

    def ask(client: ServerClient, method: str, path: str) -> dict[str, Any]:
        asked.append((client.url, method, path))
        return TOLD

    monkeypatch.setattr(ServerClient, "ask", ask)
    assert cli.main(["gateway", "restart", "--url", "http://somewhere:1"]) == 0
    assert asked == [("http://somewhere:1", "POST", "/v1/admin/gateway/restart")]
    assert capsys.readouterr().out.splitlines() == [
        "a new gateway (12) serves after 1.2 s, with 2 processes; the old one (7) finishes its "
        "requests",
        "taken over: workers",
        "these need a restart of Tricorn: port",
    ]


def test_refused(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """In the server's own words, and with 1."""

    def ask(client: ServerClient, method: str, path: str) -> None:
        raise ServerRefused("The new gateway has not started: it ended with exit code 7.")

    monkeypatch.setattr(ServerClient, "ask", ask)
    assert cli.main(["gateway", "restart", "--url", "http://somewhere:1"]) == 1
    assert capsys.readouterr().err == (
        "tricorn: The new gateway has not started: it ended with exit code 7.\n"
    )


def test_no_server(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["gateway", "restart", "--url", "http://127.0.0.1:1"]) == 1
    assert "no server runs at http://127.0.0.1:1" in capsys.readouterr().err
