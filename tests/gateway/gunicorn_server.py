"""The gateway under real gunicorn, as a process of its own, for tests to talk to."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
from tests.gateway.control_server import root
from tests.polling import wait_until

from tricorn.settings.config import Settings

MESSAGES = [{"role": "user", "content": "x"}]


class Gunicorn:
    """gunicorn's master as a manager starts it; with `folder` as a person does, from there.

    files: that each of its processes may open."""

    def __init__(
        self, settings: Settings, *, folder: Path | None = None, files: int | None = None
    ) -> None:
        self.port = settings.port
        paths = [str(root() / "src"), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)}
        if folder is None:
            environment["TRICORN_RUN_DIR"] = str(settings.runtime_dir())
            environment["TRICORN_MANAGED"] = "1"
        few = [] if files is None else ["sh", "-c", f'ulimit -n {files}; exec "$@"', "sh"]
        self.process = subprocess.Popen(
            [*few, sys.executable, "-m", "gunicorn", "-c", str(root() / "gunicorn.conf.py"),
             "tricorn.gateway.app:create_app()"],
            env=environment,
            cwd=folder,
        )  # fmt: skip
        try:
            wait_until(self._answers)
        except BaseException:
            self.close()
            raise

    def _answers(self) -> bool:
        assert self.process.poll() is None, "gunicorn ended"
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"http://127.0.0.1:{self.port}/health").status_code == 200
        return False

    def post(self, body: dict[str, Any]) -> socket.socket:
        """Send a chat request; the connection, on which nothing has been read."""
        payload = json.dumps({"model": "m", **body}).encode()
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=5)
        head = (
            "POST /v1/chat/completions HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(payload)}\r\n\r\n"
        )
        connection.sendall(head.encode() + payload)
        return connection

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(15)
