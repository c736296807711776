"""What gateway tests have in the manager's place: real FakeEngine workers, and a scripted one."""

from __future__ import annotations

import queue
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import msgspec

import tricorn
from tricorn.engines.base import EngineStats
from tricorn.engines.spec import EngineCapabilities, EngineOptions, LoadedModel, ModelSpec
from tricorn.errors import ModelNotFound, from_info
from tricorn.manager.protocol import messages
from tricorn.manager.protocol.calls import Granted, Told
from tricorn.manager.protocol.model_info import ModelInfo
from tricorn.manager.protocol.news import Snapshot
from tricorn.manager.protocol.usage import Usage
from tricorn.manager.protocol.worker import LoadFailed, Ready
from tricorn.wire import FrameReader, pack
from tricorn.worker import protocol as data
from tricorn.worker.protocol import Launch

WORKER = Path(tricorn.__file__).parent / "worker" / "__main__.py"
SECRET = "test"


class FakeWorker:
    """A FakeEngine in a real engine worker process; up when the constructor returns."""

    def __init__(self, name: str, engine_args: dict[str, Any], **options: Any) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="tricorn-test-")
        folder = Path(self._folder.name)
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(folder / "control.sock"))
        listener.listen()
        spec = ModelSpec(
            name, "", "fake", "fake", "a test", 0, 0,
            EngineOptions(engine_args=engine_args, **options),
        )  # fmt: skip
        launch = Launch(
            replica=f"{name}-1",
            spec=spec,
            control_address=f"unix:{folder / 'control.sock'}",
            control_secret=SECRET,
            data_address=f"unix:{folder / 'data.sock'}",
            data_secret=SECRET,
            log_level="WARNING",
        )
        self.process = subprocess.Popen(
            [sys.executable, "-P", str(WORKER)], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
        )
        assert self.process.stdin is not None
        self.process.stdin.write(msgspec.json.encode(launch) + b"\n")
        self.process.stdin.flush()
        listener.settimeout(20)
        self._control, _ = listener.accept()
        listener.close()
        ready = self._wait_ready()
        self.address, self.model = ready.address, ready.model

    def _wait_ready(self) -> Ready:
        self._control.settimeout(20)
        frames = FrameReader()
        while received := self._control.recv(65536):
            for payload in frames.feed(received):
                message = messages.decode_client(payload)
                if isinstance(message, Ready):
                    return message
                if isinstance(message, LoadFailed):
                    raise from_info(message.error)
        raise AssertionError("the worker ended before it was ready")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        self.kill()
        assert self.process.stdin is not None
        self.process.stdin.close()
        self._control.close()
        self._folder.cleanup()


class FakeManager:
    """`ManagerClient`'s interface over workers that it starts itself; records what it is told."""

    def __init__(self, models: dict[str, dict[str, Any]]) -> None:
        self._models = models
        self._workers: dict[str, Any] = {}
        self._leases: dict[int, str] = {}
        self._calls = 0
        self._lock = threading.Lock()
        self.ready = True
        self.connected = True
        self.held: queue.SimpleQueue[tuple[str, queue.SimpleQueue[object], int]] | None = None
        """Set: calls are put here instead of being answered."""
        self.released: list[tuple[str, bool]] = []
        self.tokens: list[tuple[int, int]] = []
        """That leases have taken, of those that have taken any: prompt, completion."""
        self.withdrawn: list[int] = []
        self.asked: list[dict[str, Any]] = []
        """What each call said beside the model's name."""
        self.spread: set[str] = set()
        """Models that have several replicas."""
        self.orders: list[tuple[str, dict[str, Any]]] = []
        self.answers: dict[str, Any] = {}
        """Command → its result, the error of its refusal, or a list of what comes, in order."""
        self.usage: queue.SimpleQueue[Usage] = queue.SimpleQueue()
        self.listening: dict[int, queue.SimpleQueue[object]] = {}

    def add(self, name: str, worker: Any) -> None:
        """Serve `name` from a worker that runs already."""
        self._workers[name] = worker
        self._models.setdefault(name, {})

    def worker(self, name: str) -> Any:
        with self._lock:
            if name not in self._workers:
                self._workers[name] = FakeWorker(name, self._models[name])
            return self._workers[name]

    def start(self) -> None:
        """Nothing to connect to."""

    def wait_connected(self, timeout_s: float) -> bool:
        return self.connected

    def snapshot(self) -> Snapshot | None:
        if not self.connected:
            return None
        models = [self._info(name) for name in self._models]
        return Snapshot(1, models, self.ready, "all well" if self.ready else "loading")

    def _info(self, name: str) -> ModelInfo:
        info = ModelInfo(name, 1700000000, "fake", "a test", "fake", 0, "UNLOADED")
        if name in self.spread:
            info = msgspec.structs.replace(info, replicas=2)
        if name not in self._workers:
            return info
        model = self._workers[name].model
        return msgspec.structs.replace(
            info,
            state="READY",
            context_length=model.context_length,
            capabilities=model.capabilities,
            dialect=model.dialect,
            dimensions=model.dimensions,
            shorter_dimensions=model.shorter_dimensions,
        )

    def acquire(
        self, model: str, request_id: str, inbox: queue.SimpleQueue[object], **asked: Any
    ) -> int:
        self._calls += 1
        call = self._calls
        self.asked.append(asked)
        if self.held is not None:
            self.held.put((model, inbox, call))
        elif model not in self._models:
            there = ", ".join(self._models)
            inbox.put(ModelNotFound(f"no model '{model}'; there are: {there}", param="model"))
        else:
            self.grant(model, inbox, call)
        return call

    def grant(self, model: str, inbox: queue.SimpleQueue[object], call: int) -> None:
        worker = self.worker(model)
        self._leases[call] = model
        inbox.put(Granted(call, call, worker.address, SECRET, model, worker.model))

    def order(
        self, command: str, arguments: dict[str, Any], inbox: queue.SimpleQueue[object]
    ) -> int:
        self._calls += 1
        self.orders.append((command, arguments))
        answer = self.answers[command]
        for one in answer if isinstance(answer, list) else [answer]:
            if isinstance(one, dict):
                inbox.put(Told(self._calls, one))
            else:
                inbox.put(one)
        return self._calls

    def listen(self, inbox: queue.SimpleQueue[object]) -> int:
        self._calls += 1
        self.listening[self._calls] = inbox
        return self._calls

    def unlisten(self, ticket: int) -> None:
        self.listening.pop(ticket, None)

    def report(self, usage: Usage) -> bool:
        self.usage.put(usage)
        return True

    def withdraw(self, call: int) -> None:
        self.withdrawn.append(call)

    def release(
        self,
        lease: int,
        *,
        lost: bool = False,
        prompt_tokens: int = 0,
        completion_tokens: int = 0,
    ) -> None:
        model = self._leases.pop(lease)
        if prompt_tokens or completion_tokens:
            self.tokens.append((prompt_tokens, completion_tokens))
        self.released.append((model, lost))
        if lost:
            worker = self._workers.pop(model)
            worker.close()

    @property
    def leased(self) -> int:
        return len(self._leases)

    def close(self) -> None:
        for worker in self._workers.values():
            worker.close()


class ScriptedWorker:
    """Speaks the data protocol as a test says: ops come out of `ops`, events go in by `send`."""

    model = LoadedModel(4096, 257, 16, EngineCapabilities())

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="tricorn-test-")
        path = str(Path(self._folder.name) / "data.sock")
        self.address = f"unix:{path}"
        self.ops: queue.SimpleQueue[data.Op] = queue.SimpleQueue()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        self._listener.listen()
        self._connections: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._connections.append(connection)
            threading.Thread(target=self._read, args=(connection,), daemon=True).start()

    def _read(self, connection: socket.socket) -> None:
        frames = FrameReader()
        try:
            while received := connection.recv(65536):
                for payload in frames.feed(received):
                    op = data.decode_op(payload)
                    if not isinstance(op, data.Hello):
                        self.ops.put(op)
        except OSError:
            return

    def started(self, timeout_s: float = 5) -> data.Start:
        """The next op, which must be a start."""
        op = self.ops.get(timeout=timeout_s)
        assert isinstance(op, data.Start), op
        return op

    def cancelled(self, timeout_s: float = 5) -> int:
        """The number of the next op, which must be a cancel."""
        op = self.ops.get(timeout=timeout_s)
        assert isinstance(op, data.Cancel), op
        return op.id

    def send(self, *events: data.Event) -> None:
        frame = data.Frame(list(events), EngineStats())
        self._connections[-1].sendall(pack(data.encode(frame)))

    def hang_up(self) -> None:
        """Lose the connection, as a process that dies does."""
        connection = self._connections.pop()
        connection.shutdown(socket.SHUT_RDWR)
        connection.close()

    def close(self) -> None:
        self._listener.close()
        while self._connections:
            self.hang_up()
        self._folder.cleanup()
