"""Tests of `tricorn.gateway.http.open_files`, and of a gateway that may open few."""

from __future__ import annotations

import os
import queue
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

if os.name != "posix":
    pytest.skip("there is no such limit", allow_module_level=True)

import resource

import httpx
from tests.gateway.control_server import ControlServer, free_port
from tests.gateway.engines import ScriptedWorker
from tests.gateway.gunicorn_server import Gunicorn

from tricorn.gateway.http import open_files
from tricorn.settings.config import Settings

UNLIMITED = resource.RLIM_INFINITY


@pytest.mark.parametrize(
    ("limits", "raised_to", "connections"),
    [
        ((1024, 524288), 4224, 4096),
        ((1024, UNLIMITED), 4224, 4096),
        ((65536, 65536), None, 4096),
        ((UNLIMITED, UNLIMITED), None, 4096),
        ((1024, 2048), 2048, 1920),
        ((1024, 1024), None, 896),
        ((100, 100), None, 1),
    ],
)
def test_connections(
    monkeypatch: pytest.MonkeyPatch,
    limits: tuple[int, int],
    raised_to: int | None,
    connections: int,
) -> None:
    """No more than there are files for; the limit is raised as far as is needed and allowed."""
    monkeypatch.setattr(resource, "getrlimit", lambda kind: limits)
    made: list[Any] = []
    monkeypatch.setattr(resource, "setrlimit", lambda kind, both: made.append(both))
    assert open_files.connections(4096) == connections
    assert made == ([] if raised_to is None else [(raised_to, limits[1])])


def test_few_files(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """More connections than there can be: those beyond wait for the others to end, and are served
    then. Nothing fails meanwhile, and nothing is logged again and again."""
    worker = ScriptedWorker()
    settings = Settings(run_dir=tmp_path / "run", data_dir=tmp_path / "data", port=free_port(),
                        workers=1, drain_timeout_s=1)  # fmt: skip
    control = ControlServer(settings, worker)
    gunicorn = Gunicorn(settings, files=open_files.OTHERS + 20)
    answers: queue.SimpleQueue[int] = queue.SimpleQueue()
    try:
        silent = [socket.create_connection(("127.0.0.1", settings.port)) for _ in range(150)]

        def ask() -> None:
            answers.put(
                httpx.get(f"http://127.0.0.1:{settings.port}/health", timeout=30).status_code
            )

        asking = threading.Thread(target=ask)
        asking.start()
        assert answers.empty()
        for one in silent:
            one.close()
        assert answers.get(timeout=30) == 200
        asking.join()
    finally:
        gunicorn.close()
        control.close()
        worker.close()
    output = capfd.readouterr()
    assert "Too many open files" not in output.err + output.out
    assert (output.err + output.out).count("this system allows few open files") == 1
