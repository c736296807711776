"""The gateway under real gunicorn and gevent, over HTTP."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.gateway.control_server import ControlServer, free_port
from tests.gateway.engines import ScriptedWorker
from tests.gateway.gunicorn_server import MESSAGES, Gunicorn
from tests.polling import wait_until

from tricorn.engines.request import TokenDelta
from tricorn.gateway.http import instance
from tricorn.settings.config import Settings
from tricorn.worker.protocol import Delta, Finished, Started

pytestmark = pytest.mark.skipif(os.name != "posix", reason="gunicorn needs POSIX")
MAX_RSS_MB = 80


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("g")
    return Settings(
        run_dir=folder,
        port=free_port(),
        workers=1,
        drain_timeout_s=1,
        sse_keepalive_s=0.3,
        max_body_bytes=100_000,
    )


def test_close_during_a_stream_cancels(
    gunicorn: Gunicorn, worker: ScriptedWorker, control: ControlServer
) -> None:
    """The engine hears of a client that left mid-stream while no token was flowing."""
    connection = gunicorn.post({"messages": MESSAGES, "stream": True})
    start = worker.started()
    worker.send(Started(start.id, 3), Delta(start.id, TokenDelta(0, "Hi", [1])))
    received = b""
    while b'"Hi"' not in received:
        received += connection.recv(65536)
    assert received.startswith(b"HTTP/1.1 200 OK")

    connection.close()
    closed = time.monotonic()
    assert worker.cancelled() == start.id
    assert time.monotonic() - closed < 0.1
    assert control.released.get(timeout=5) is False


def test_close_while_collecting_cancels(gunicorn: Gunicorn, worker: ScriptedWorker) -> None:
    """The engine hears of a client that left before its whole answer was ready."""
    connection = gunicorn.post({"messages": MESSAGES})
    start = worker.started()
    worker.send(Started(start.id, 3), Delta(start.id, TokenDelta(0, "Hi", [1])))
    connection.close()
    closed = time.monotonic()
    assert worker.cancelled() == start.id
    assert time.monotonic() - closed < 0.1


def test_silence_is_filled_with_comments(gunicorn: Gunicorn, worker: ScriptedWorker) -> None:
    """While nothing flows, a stream gets comments, and then goes on as if nothing had been."""
    connection = gunicorn.post({"messages": MESSAGES, "stream": True})
    start = worker.started()
    received = b""
    while received.count(b": keep-alive\n\n") < 2:
        received += connection.recv(65536)
    worker.send(
        Started(start.id, 3), Delta(start.id, TokenDelta(0, "Hi", [1], "stop")), Finished(start.id)
    )
    while b"data: [DONE]" not in received:
        received += connection.recv(65536)
    connection.close()


def test_a_lost_engine_ends_the_stream_with_an_error(
    gunicorn: Gunicorn, worker: ScriptedWorker, control: ControlServer
) -> None:
    """An error event and no [DONE], when tokens had been sent; the replica is reported lost."""
    while not control.released.empty():
        control.released.get()
    connection = gunicorn.post({"messages": MESSAGES, "stream": True})
    start = worker.started()
    worker.send(Started(start.id, 3), Delta(start.id, TokenDelta(0, "Hi", [1])))
    received = b""
    while b'"Hi"' not in received:
        received += connection.recv(65536)
    worker.hang_up()
    while b"\r\n0\r\n\r\n" not in received:
        received += connection.recv(65536)
    assert b'"code":"engine_lost"' in received
    assert b"[DONE]" not in received
    assert control.released.get(timeout=5) is True
    connection.close()


def test_a_slow_reader_gets_everything(gunicorn: Gunicorn, worker: ScriptedWorker) -> None:
    """Tokens pile up behind a client that does not read; then they come whole and in order."""
    connection = gunicorn.post({"messages": MESSAGES, "stream": True})
    start = worker.started()
    texts = [f"[{number}]" + "x" * 3000 for number in range(3000)]
    worker.send(Started(start.id, 3), Delta(start.id, TokenDelta(0, "first", [1])))
    with connection, connection.makefile("rb") as stream:
        while stream.readline() != b"\r\n":
            continue
        chunks = _chunks(stream)
        while b'"first"' not in next(chunks):
            continue
        for text in texts:
            worker.send(Delta(start.id, TokenDelta(0, text, [1])))
        worker.send(Delta(start.id, TokenDelta(0, "", [1], "stop")), Finished(start.id))
        read = b"".join(chunks)
    events = [line[6:] for line in read.split(b"\n") if line.startswith(b"data: {")]
    got = [json.loads(event)["choices"][0]["delta"].get("content", "") for event in events]
    assert [text for text in got if text] == texts
    assert read.endswith(b"data: [DONE]\n\n")


def _empty(*queues: Any) -> None:
    for one in queues:
        while not one.empty():
            one.get()


def test_all_tokens_of_a_stream_are_told(
    gunicorn: Gunicorn, worker: ScriptedWorker, control: ControlServer
) -> None:
    """Also those that went to the client past the handler: budgets and limits are settled by it."""
    _empty(control.released, control.taken)
    with gunicorn.post({"messages": MESSAGES, "stream": True}) as connection:
        start = worker.started()
        worker.send(Started(start.id, 3))
        received = b""
        for number in range(20):
            worker.send(Delta(start.id, TokenDelta(0, f"[{number}]", [1, 2])))
            while f"[{number}]".encode() not in received:
                received += connection.recv(65536)
        worker.send(Delta(start.id, TokenDelta(0, "", [1], "stop")), Finished(start.id))
        while b"[DONE]" not in received:
            received += connection.recv(65536)
    assert control.taken.get(timeout=5) == (3, 41)


def test_a_slow_reader_holds_no_place(
    gunicorn: Gunicorn, worker: ScriptedWorker, control: ControlServer
) -> None:
    """The lease is back when the engine is done, though the client has read nothing yet."""
    _empty(control.released, control.taken)
    with gunicorn.post({"messages": MESSAGES, "stream": True}) as connection:
        start = worker.started()
        worker.send(Started(start.id, 3))
        for _ in range(3000):
            worker.send(Delta(start.id, TokenDelta(0, "x" * 3000, [1])))
        worker.send(Delta(start.id, TokenDelta(0, "", [1], "stop")), Finished(start.id))
        assert control.released.get(timeout=10) is False
        assert control.taken.get(timeout=5) == (3, 3001)
        received = bytearray()
        while b"[DONE]" not in received[-100:]:
            received += connection.recv(1 << 20)
    assert received.count(b"x" * 3000) == 3000


def test_without_chunks(gunicorn: Gunicorn, worker: ScriptedWorker) -> None:
    """HTTP/1.0 has none: the stream is plain, and ends with the connection."""
    payload = json.dumps({"model": "m", "messages": MESSAGES, "stream": True}).encode()
    with socket.create_connection(("127.0.0.1", gunicorn.port), timeout=5) as connection:
        connection.sendall(
            b"POST /v1/chat/completions HTTP/1.0\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (len(payload), payload)
        )
        start = worker.started()
        worker.send(Started(start.id, 3))
        for text in ("a", "b", "c"):
            worker.send(Delta(start.id, TokenDelta(0, text, [1])))
        worker.send(Delta(start.id, TokenDelta(0, "", [1], "stop")), Finished(start.id))
        received = b""
        while piece := connection.recv(65536):
            received += piece
    _, _, body = received.partition(b"\r\n\r\n")
    assert all(line.startswith(b"data: ") for line in body.split(b"\n") if line)
    assert body.endswith(b"data: [DONE]\n\n")


def _chunks(stream: Any) -> Iterator[bytes]:
    """Of a body in HTTP/1.1's chunked form."""
    while size := int(stream.readline(), 16):
        yield stream.read(size)
        assert stream.read(2) == b"\r\n"


def test_memory_of_a_worker(gunicorn: Gunicorn) -> None:
    """A gateway worker stays under 80 MB."""
    psutil = pytest.importorskip("psutil")
    children = psutil.Process(gunicorn.process.pid).children()
    assert len(children) == 1
    assert children[0].memory_info().rss / 1e6 < MAX_RSS_MB


def test_chunked_body(gunicorn: Gunicorn) -> None:
    """A body without a length is read whole, and refused once it is over the limit."""
    with httpx.Client(base_url=f"http://127.0.0.1:{gunicorn.port}") as client:
        answer = client.post(
            "/v1/chat/completions",
            content=iter([b'{"model":"m","mess', b'ages":[]}']),
            headers={"Content-Type": "application/json"},
        )
        assert answer.status_code == 400
        assert answer.json()["error"]["param"] == "messages"
        endless = client.post(
            "/v1/chat/completions",
            content=iter([b'"' + b"x" * 50_000] * 3),
            headers={"Content-Type": "application/json"},
        )
        assert endless.status_code == 413


def test_the_last_of_the_usage_is_told(tmp_path: Path, worker: ScriptedWorker) -> None:
    """By a gateway that ends before its next report; and what it logs goes along."""
    settings = Settings(run_dir=tmp_path, port=free_port(), workers=1, drain_timeout_s=1)
    control = ControlServer(settings, worker)
    gateway = Gunicorn(settings)
    httpx.get(f"http://127.0.0.1:{gateway.port}/nowhere")
    gateway.close()
    told = [control.usage.get(timeout=15)]
    while not control.usage.empty():
        told.append(control.usage.get())
    control.close()
    answers = {(one.route, one.status): one.count for usage in told for one in usage.answers}
    assert answers["none", 404] == 1
    lines = [json.loads(line) for usage in told for line in usage.lines]
    assert "/nowhere" in [line.get("path") for line in lines]


def test_an_idle_connection_is_told_nothing_at_the_end(
    tmp_path: Path, worker: ScriptedWorker
) -> None:
    """It is closed: an answer that nobody asked for would be taken for the next request's."""
    settings = Settings(run_dir=tmp_path / "run", port=free_port(), workers=1, drain_timeout_s=1)
    control = ControlServer(settings, worker)
    gunicorn = Gunicorn(settings)
    with socket.create_connection(("127.0.0.1", settings.port), timeout=20) as connection:
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: t\r\n\r\n")
        received = b""
        while b'"ok"}' not in received:
            received += connection.recv(65536)
        gunicorn.process.terminate()
        assert connection.recv(65536) == b""
    gunicorn.close()
    control.close()


def test_a_managed_gateway_ends_with_its_manager(tmp_path: Path, worker: ScriptedWorker) -> None:
    """When the manager's process is gone, gunicorn ends by itself."""
    manager = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    settings = Settings(run_dir=tmp_path, port=free_port(), workers=1, drain_timeout_s=1)
    control = ControlServer(settings, worker, pid=manager.pid)
    gateway = Gunicorn(settings)
    manager.kill()
    manager.wait()
    control.close()
    assert gateway.process.wait(15) == 0


def test_reload_in_dev_keeps_serving(tmp_path: Path, worker: ScriptedWorker) -> None:
    """SIGHUP, which is what a source change comes to, leaves the port answering."""
    settings = Settings(run_dir=tmp_path, port=free_port(), mode="dev", drain_timeout_s=1)
    control = ControlServer(settings, worker)
    gateway = Gunicorn(settings)
    try:
        gateway.process.send_signal(signal.SIGHUP)
        wait_until(gateway._answers)
        assert httpx.get(f"http://127.0.0.1:{settings.port}/ready").status_code == 200
    finally:
        gateway.close()
        control.close()


def test_a_changed_source_reloads_in_dev(
    tmp_path: Path, worker: ScriptedWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another worker comes; gunicorn stays, and so does all that is behind it."""
    psutil = pytest.importorskip("psutil")
    source = tmp_path / "sitecustomize.py"  # loaded by every process, as Tricorn's own files are
    source.write_text("")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    settings = Settings(run_dir=tmp_path / "run", port=free_port(), mode="dev", drain_timeout_s=1)
    control = ControlServer(settings, worker)
    gateway = Gunicorn(settings)
    try:
        (first,) = psutil.Process(gateway.process.pid).children()
        source.write_text("# changed")
        wait_until(lambda: not first.is_running())
        wait_until(gateway._answers)
    finally:
        gateway.close()
        control.close()


def test_by_hand_it_brings_a_manager_and_another_when_that_dies(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """It ends with gunicorn, and nothing that a person would take for a fault is printed."""
    settings = Settings(run_dir=tmp_path / "run", port=free_port())
    (tmp_path / "tricorn.yaml").write_text(
        f"port: {settings.port}\nrun_dir: {settings.run_dir}\nworkers: 1\ndefault_model: m\n"
        f"model_base_path: {tmp_path}\ndata_dir: {tmp_path}\nlog_dir: {tmp_path}\n"
        "models: {m: {engine: fake}}\n"
    )
    gunicorn = Gunicorn(settings, folder=tmp_path)
    try:
        first = _manager(gunicorn, settings)
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: instance.manager_pid(settings.runtime_dir()) not in (None, first))
        second = _manager(gunicorn, settings)
    finally:
        gunicorn.close()
    assert not instance.is_alive(second)
    assert "Traceback" not in capfd.readouterr().err


def _manager(gunicorn: Gunicorn, settings: Settings) -> int:
    """Its pid, once requests are answered."""

    def answers() -> bool:
        asked = {"model": "m", "messages": MESSAGES, "max_tokens": 1}
        url = f"http://127.0.0.1:{gunicorn.port}/v1/chat/completions"
        return httpx.post(url, json=asked).status_code == 200

    wait_until(answers)
    pid = instance.manager_pid(settings.runtime_dir())
    assert pid is not None
    return pid
