"""A manager's control socket, as much of it as a gateway process needs in a test."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import socket
import threading
from pathlib import Path
from typing import Any

from tricorn.manager.protocol import messages
from tricorn.manager.protocol.calls import Acquire, Granted, Release
from tricorn.manager.protocol.messages import ClientMessage, Hello, ManagerMessage
from tricorn.manager.protocol.model_info import ModelInfo
from tricorn.manager.protocol.news import Snapshot
from tricorn.manager.protocol.usage import Usage
from tricorn.settings.config import Settings
from tricorn.wire import FrameReader, pack


class ControlServer:
    """Grants every lease on one worker. `released` gets what gateways give back, `taken` the
    tokens of prompts and answers that they tell with it, `usage` what they have served."""

    def __init__(self, settings: Settings, worker: Any, *, pid: int | None = None) -> None:
        self.run_dir = settings.runtime_dir()
        self.run_dir.mkdir(parents=True, exist_ok=True)
        path = self.run_dir / "control.sock"
        self._worker = worker
        self.released: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self.taken: queue.SimpleQueue[tuple[int, int]] = queue.SimpleQueue()
        self.usage: queue.SimpleQueue[Usage] = queue.SimpleQueue()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._connections: list[socket.socket] = []
        (self.run_dir / "settings.json").write_text(settings.model_dump_json())
        control = {"address": f"unix:{path}", "secret": "s", "pid": pid or os.getpid()}
        (self.run_dir / "control.json").write_text(json.dumps(control))
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._connections.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        frames = FrameReader()
        with contextlib.suppress(OSError):
            while received := connection.recv(65536):
                for payload in frames.feed(received):
                    answer = self._answer(messages.decode_client(payload))
                    if answer is not None:
                        connection.sendall(pack(messages.encode(answer)))

    def _answer(self, message: ClientMessage) -> ManagerMessage | None:
        match message:
            case Hello():
                model = ModelInfo("m", 0, "fake", "a test", "fake", 0, "READY")
                return Snapshot(1, [model], True, "all well", "m")
            case Acquire(call, model):
                address = self._worker.address
                return Granted(call, call, address, "test", model, self._worker.model)
            case Release(lost=lost):
                self.taken.put((message.prompt_tokens, message.completion_tokens))
                self.released.put(lost)
            case Usage():
                self.usage.put(message)
        return None

    def close(self) -> None:
        self._listener.close()
        for connection in self._connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        (self.run_dir / "control.sock").unlink(missing_ok=True)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def root() -> Path:
    """The project's folder."""
    return Path(__file__).resolve().parents[2]
