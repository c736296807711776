"""The real engine worker process."""

from __future__ import annotations

import asyncio
import queue
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.polling import wait_until

import tricorn
from tricorn import logs
from tricorn.engines.request import SamplingParams
from tricorn.engines.spec import Adapter, EngineOptions, ModelSpec
from tricorn.manager.protocol import messages
from tricorn.manager.protocol.messages import ClientMessage, Hello
from tricorn.manager.protocol.worker import DropAdapter, LoadFailed, Loading, Ready, SetLevel, Stop
from tricorn.wire import FrameReader, pack
from tricorn.worker import process, protocol
from tricorn.worker.client import EngineClient
from tricorn.worker.protocol import Launch

WORKER = Path(tricorn.__file__).parent / "worker" / "__main__.py"


class Worker:
    """A worker and the manager's end of its control connection."""

    def __init__(
        self,
        folder: Path,
        known: tuple[Adapter, ...] = (),
        chat_template: str | None = None,
        log_file: str | None = None,
        **engine_args: Any,
    ) -> None:
        """log_file: of a spare worker, told with its launch."""
        options = EngineOptions(engine_args=engine_args, chat_template=chat_template)
        spec = ModelSpec("m", "", "fake", "fake", "a test", 0, 0, options, adapters=known)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(folder / "c"))
            listener.listen()
            listener.settimeout(20)
            launch = Launch(
                "m-1",
                spec,
                f"unix:{folder / 'c'}",
                "cs",
                f"unix:{folder / 'd'}",
                "ds",
                log_file=log_file or "",
            )
            self.process = subprocess.Popen(
                [sys.executable, "-P", str(WORKER), *(["--engine", "fake"] if log_file else [])],
                stdin=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            assert self.process.stdin is not None
            self.stdin = self.process.stdin
            self.stdin.write(msgspec.json.encode(launch) + b"\n")
            self.stdin.flush()
            self.control, _ = listener.accept()
        self.control.settimeout(20)
        self._frames = FrameReader()
        self._messages: list[ClientMessage] = []

    def message(self) -> ClientMessage:
        while not self._messages:
            data = self.control.recv(65536)
            assert data, "the worker closed the connection"
            self._messages += map(messages.decode_client, self._frames.feed(data))
        return self._messages.pop(0)

    def ready(self) -> Ready:
        while not isinstance(message := self.message(), Ready):
            assert not isinstance(message, LoadFailed), message
        return message

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self.stdin.close()
        self.control.close()


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    started = Worker(tmp_path)
    yield started
    started.close()


def test_it_says_hello_loads_and_is_ready(worker: Worker, tmp_path: Path) -> None:
    """Hello with its replica and secret first, then Loading, then Ready with the address."""
    assert worker.message() == Hello("worker", worker.process.pid, "cs", "m-1")
    assert isinstance(worker.message(), Loading)
    ready = worker.message()
    assert isinstance(ready, Ready)
    assert (ready.address, ready.model.vocab_size) == (f"unix:{tmp_path / 'd'}", 257)


def test_a_spare_worker(tmp_path: Path) -> None:
    """It becomes what its launch says, and writes where that says."""
    log_file = tmp_path / "m.log"
    log_file.write_text("before\n")
    worker = Worker(tmp_path, log_file=str(log_file))
    assert worker.message() == Hello("worker", worker.process.pid, "cs", "m-1")
    assert worker.ready().model.vocab_size == 257
    wait_until(lambda: "ready" in log_file.read_text())
    assert log_file.read_text().startswith("before\n")
    worker.close()


def test_a_spare_worker_that_nobody_needs() -> None:
    """It ends with who started it."""
    with subprocess.Popen(
        [sys.executable, "-P", str(WORKER), "--engine", "fake"], stdin=subprocess.PIPE
    ) as waiting:
        assert waiting.stdin is not None
        waiting.stdin.close()
        assert waiting.wait(20) == 1


def test_a_chat_template_in_place_of_the_models_own(tmp_path: Path) -> None:
    """It is used, and it is what tells how the model thinks."""
    template = "{{ messages[0].content }}<think>\n</think>"
    started = Worker(tmp_path, chat_template=template)
    model = started.ready().model
    started.close()
    assert (model.chat_template, model.dialect.reasoning) == (template, "think")


def test_stop_ends_it(worker: Worker) -> None:
    """Exit code 0."""
    worker.ready()
    worker.control.sendall(pack(messages.encode(Stop())))
    assert worker.process.wait(20) == 0


def test_a_lost_manager_ends_it(worker: Worker) -> None:
    """A closed control connection means the same as Stop."""
    worker.ready()
    worker.control.close()
    assert worker.process.wait(20) == 0


def test_a_closed_stdin_ends_it(worker: Worker) -> None:
    """The lifeline: whoever started it is gone."""
    worker.ready()
    worker.stdin.close()
    assert worker.process.wait(20) == 0


def test_sigterm_ends_it_and_sigint_does_not(worker: Worker) -> None:
    """A terminal's Ctrl-C reaches the whole group; only the manager decides."""
    worker.ready()
    worker.process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        worker.process.wait(0.3)
    worker.process.send_signal(signal.SIGTERM)
    assert worker.process.wait(20) == 0


@pytest.mark.parametrize(
    ("knobs", "words"),
    [({"load_error": "no luck"}, "no luck"), ({"token_delay_s": "slow"}, "token_delay_s")],
)
def test_a_failed_load_is_told_and_ends_it(
    tmp_path: Path, knobs: dict[str, Any], words: str
) -> None:
    """LoadFailed with the reason, and exit code 3."""
    worker = Worker(tmp_path, **knobs)
    try:
        while not isinstance(message := worker.message(), LoadFailed):
            continue
        assert message.error.code == "model_load_failed"
        assert words in message.error.message
        assert worker.process.wait(20) == 3
    finally:
        worker.close()


def test_the_level_of_its_log_can_change() -> None:
    """SetLevel, before and after the load."""
    before = logs.level()

    async def obeyed() -> str:
        reader = asyncio.StreamReader()
        reader.feed_data(pack(messages.encode(SetLevel("ERROR"))))
        reader.feed_data(pack(messages.encode(Stop())))
        await process._obey(reader, asyncio.Event(), asyncio.Queue(), asyncio.Queue())
        return logs.level()

    try:
        assert asyncio.run(obeyed()) == "ERROR"
    finally:
        logs.set_level(before)


def test_a_dropped_adapter_is_forgotten(tmp_path: Path) -> None:
    """DropAdapter reaches the engine: the same adapter is loaded again when it is next used."""
    adapter = Adapter("a", "/adapters/a", 8, 1)
    worker = Worker(tmp_path, (adapter,), adapters=True)
    client = None
    try:
        ready = worker.ready()
        assert ready.model.capabilities.adapters
        client = EngineClient(ready.address, "ds")
        assert said(client, adapter) == "a#1 hi"
        assert said(client, adapter) == "a#1 hi"
        worker.control.sendall(pack(messages.encode(DropAdapter(adapter))))
        wait_until(lambda: said(client, adapter) == "a#2 hi")
    finally:
        if client is not None:
            client.close()
        worker.close()


def said(client: EngineClient, adapter: Adapter) -> str:
    """The answer to `hi`."""
    inbox: queue.SimpleQueue[object] = queue.SimpleQueue()
    prompt = protocol.TextPrompt("hi")
    client.start(
        request_id="r", prompt=prompt, sampling=SamplingParams(), inbox=inbox, adapter=adapter
    )
    text = ""
    while not isinstance(event := inbox.get(timeout=15), protocol.Finished):
        assert not isinstance(event, protocol.Failed), event
        text += event.delta.text if isinstance(event, protocol.Delta) else ""
    return text
