"""deploy/nginx.conf in a real nginx, in front of a real Tricorn with a fake model."""

from __future__ import annotations

import getpass
import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.e2e.server import END_S, PROJECT, Server, events, running, user
from tests.polling import wait_until

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(NGINX is None, reason="nginx is not installed"),
]

LEAVES_ROOM = True
PATH = "location /llm/ { proxy_pass http://tricorn/; }"
"""As docs/deployment.md has it."""
LIMIT = 33554432
SLOW = {"answer": "tick tock " * 50, "token_delay_s": 0.1}


class Nginx:
    def __init__(self, folder: Path, upstream: int) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        site = (PROJECT / "deploy" / "nginx.conf").read_text()
        for old, new in {
            "127.0.0.1:8000": f"127.0.0.1:{upstream}",
            "listen 80;": f"listen 127.0.0.1:{port}; {PATH}",
        }.items():
            assert site.count(old) == 1
            site = site.replace(old, new)
        # Nothing of the system's is touched. Started by root, its workers would be somebody else.
        owner = f"user {getpass.getuser()};" if os.geteuid() == 0 else ""
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        temporary = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in kinds)
        config = folder / "nginx.conf"
        config.write_text(
            f"daemon off; {owner} pid {folder}/nginx.pid; error_log stderr;\n"
            f"worker_processes 1; events {{ worker_connections 256; }}\n"
            f"http {{ access_log off;\n{temporary}{site}}}\n"
        )
        # It opens its built-in log file before it reads the config's: -e comes first.
        command = [str(NGINX), "-e", "stderr", "-p", str(folder), "-c", str(config)]
        with (folder / "nginx.txt").open("w") as output:
            self.process = subprocess.Popen(command, stderr=output, start_new_session=True)
        self.output = folder / "nginx.txt"

    def wait_ready(self) -> None:
        def answers() -> bool:
            assert self.process.poll() is None, self.output.read_text()
            try:
                httpx.get(f"{self.url}/health")
            except httpx.TransportError:
                return False
            return True

        wait_until(answers)

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(END_S)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    models = {"slow": {"engine": "fake", "engine_args": SLOW}, "echo": {"engine": "fake"}}
    config = json.dumps({"models": models})
    with running(config=config, default_model="slow", mode="prod", workers=1) as found:
        yield found


@pytest.fixture(scope="module")
def nginx(server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    found = Nginx(tmp_path_factory.mktemp("nginx"), server.port)
    try:
        found.wait_ready()
        yield found
    finally:
        found.close()


def chat(model: str = "slow", **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": user("Hello!"), **more}


@contextmanager
def streaming(url: str) -> Iterator[Iterator[Any]]:
    with httpx.stream("POST", url, json=chat(stream=True), timeout=END_S) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        yield events(response)


@pytest.mark.parametrize("path", ["", "/llm"])
def test_tokens_come_one_by_one(server: Server, nginx: Nginx, path: str) -> None:
    """The first words are there while the model still works; a client that leaves ends its
    request at once, although nginx stands between."""
    with server.figures() as figures:
        before = figures().generated_tokens
        with streaming(f"{nginx.url}{path}/v1/chat/completions") as stream:
            for event in stream:
                if event["choices"][0]["delta"].get("content"):
                    break
            assert figures().running == 1
            assert figures().generated_tokens - before < 100
        wait_until(lambda: figures().running == 0)
        assert figures().generated_tokens - before < 200  # of 500


def test_waiting_client_leaves(server: Server, nginx: Nginx) -> None:
    """The same for an answer that is not streamed, of which nothing has been sent."""
    body = json.dumps(chat()).encode()
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    port = int(nginx.url.rpartition(":")[2])
    with server.figures() as figures:
        before = figures().generated_tokens
        with socket.create_connection(("127.0.0.1", port)) as caller:
            caller.sendall(head.encode() + body)
            wait_until(lambda: figures().running == 1)
        wait_until(lambda: figures().running == 0)
        assert figures().generated_tokens - before < 400  # of 500


def test_big_bodies(nginx: Nginx) -> None:
    """20 MB pass; more than MAX_BODY_BYTES is refused as Tricorn would."""
    url = f"{nginx.url}/v1/chat/completions"
    fits = httpx.post(url, json=chat("echo", padding="x" * 20_000_000), timeout=END_S)
    assert (fits.status_code, fits.json()["object"]) == (200, "chat.completion")
    body = json.dumps(chat("echo")).encode()
    whole = httpx.post(
        url,
        content=body + b" " * (LIMIT - len(body)),
        headers={"Content-Type": "application/json"},
        timeout=END_S,
    )
    assert whole.status_code == 200
    refused = httpx.post(
        url,
        content=body + b" " * (LIMIT - len(body) + 1),
        headers={"Content-Type": "application/json"},
        timeout=END_S,
    )
    assert refused.status_code == 413
    assert refused.json()["error"]["code"] == "body_too_large"


def test_errors_pass_as_they_are(nginx: Nginx) -> None:
    """What Tricorn refuses keeps its status and its words."""
    answer = httpx.post(f"{nginx.url}/v1/chat/completions", json=chat("nobody"))
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")


def test_tricorn_is_down(tmp_path: Path) -> None:
    """nginx says so in JSON, and when to come again."""
    with socket.socket() as nobody:  # bound and not listening: connections are refused
        nobody.bind(("127.0.0.1", 0))
        nginx = Nginx(tmp_path, nobody.getsockname()[1])
        try:
            nginx.wait_ready()
            answer = httpx.get(f"{nginx.url}/v1/models")
        finally:
            nginx.close()
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "5"
    assert answer.json()["error"]["code"] == "manager_unavailable"
