"""`tricorn gateway restart` while clients are served, with real processes and a fake model."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.e2e.server import END_S, PROJECT, Server, events, is_alive, running, user
from tests.polling import wait_until

pytestmark = pytest.mark.timeout(120)
LEAVES_ROOM = True

WORDS = 80
SLOW = {"answer": "tick " * WORDS, "token_delay_s": 0.02}
CONFIG: dict[str, Any] = {
    "models": {"slow": {"engine": "fake", "engine_args": SLOW}, "echo": {"engine": "fake"}},
    "workers": 2,
    "drain_timeout_s": 1,
}
BROKEN = "import os, sys\nif 'gunicorn' in sys.orig_argv: os._exit(7)\n"


@pytest.fixture(scope="module")
def late(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of modules that each of the server's processes sees."""
    return tmp_path_factory.mktemp("late")


@pytest.fixture(scope="module")
def server(late: Path) -> Iterator[Server]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(late))
        with running(config=json.dumps(CONFIG), default_model="slow", mode="prod") as found:
            yield found


def restart(server: Server) -> tuple[int, str]:
    """The exit code, and what was said."""
    command = [sys.executable, "-m", "tricorn.cli", "gateway", "restart", "--url", server.url]
    done = subprocess.run(
        command, cwd=PROJECT, capture_output=True, text=True, timeout=90, check=False
    )
    return done.returncode, done.stdout + done.stderr


def chat(model: str, **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": user("Hello!"), **more}


def text_of(server: Server, begun: threading.Event) -> str:
    """Of a stream that is read to its end; `begun` once it flows."""
    pieces: list[str] = []
    url = f"{server.url}/v1/chat/completions"
    with httpx.stream("POST", url, json=chat("slow", stream=True), timeout=END_S) as response:
        found = list[Any]()
        for event in events(response):
            found.append(event)
            if isinstance(event, dict) and event["choices"]:
                pieces.append(event["choices"][0]["delta"].get("content") or "")
                if pieces[-1]:
                    begun.set()
    assert found[-1] == "[DONE]"
    return "".join(pieces)


def knock(server: Server, until: threading.Event) -> int:
    """Answers to new connections, one after another; any fault is raised."""
    answers = 0
    while not until.is_set():
        told = httpx.post(f"{server.url}/v1/chat/completions", json=chat("echo"), timeout=END_S)
        assert told.status_code == 200, told.text
        answers += 1
    return answers


def test_nothing_is_lost(server: Server) -> None:
    """A stream goes on beyond DRAIN_TIMEOUT_S, who comes meanwhile is served, the engine stays, and
    changed settings hold."""
    url = f"{server.url}/v1/chat/completions"
    engines = {process.pid for process in server.engines()}
    wait_until(lambda: len(server.gateways()) == 2)  # one is enough to be ready
    old = server.gateways()
    changed = CONFIG | {"strict_fields": True, "workers": 1}
    (server.folder / "tricorn.yaml").write_text(json.dumps(changed))
    begun, done = threading.Event(), threading.Event()
    with ThreadPoolExecutor() as pool:
        streams = [pool.submit(text_of, server, begun) for _ in range(4)]
        assert begun.wait(END_S)
        knocking = [pool.submit(knock, server, done) for _ in range(2)]
        try:
            code, said = restart(server)
        finally:
            done.set()
        assert code == 0, said
        assert "with 1 process" in said
        assert "taken over: strict_fields, workers" in said
        assert all(one.result(END_S) > 0 for one in knocking)
        assert {one.result(END_S) for one in streams} == {"tick " * WORDS}
    wait_until(lambda: not any(is_alive(process) for process in old), END_S)
    wait_until(lambda: len(server.gateways()) == 1)
    assert engines <= {process.pid for process in server.engines()}
    refused = httpx.post(url, json=chat("echo", nonsense=1), timeout=END_S)
    assert refused.status_code == 400


def test_new_gateway_is_broken(server: Server, late: Path) -> None:
    """The old one serves on with its settings, and the command says what happened."""
    before = {process.pid for process in server.gateways()}
    changed = CONFIG | {"strict_fields": True, "workers": 1, "max_body_bytes": 2048}
    (server.folder / "tricorn.yaml").write_text(json.dumps(changed))
    (late / "sitecustomize.py").write_text(BROKEN)
    try:
        code, said = restart(server)
    finally:
        (late / "sitecustomize.py").unlink()
    assert code == 1
    assert "The new gateway has not started: it ended with exit code 7." in said
    assert {process.pid for process in server.gateways()} == before
    assert httpx.get(f"{server.url}/ready").status_code == 200
    told = json.loads((server.run_dir / "settings.json").read_text())
    assert told["max_body_bytes"] > 2048
    code, said = restart(server)
    assert (code, "taken over: max_body_bytes" in said) == (0, True), said
