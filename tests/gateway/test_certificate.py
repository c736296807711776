"""The gateway with a certificate, under real gunicorn and gevent, and its renewal."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from tests.gateway.certificates import make, needs_openssl
from tests.gateway.control_server import ControlServer, free_port
from tests.gateway.engines import ScriptedWorker
from tests.gateway.gunicorn_server import MESSAGES, Gunicorn
from tests.polling import wait_until

from tricorn import healthcheck, tls
from tricorn.commands.server_client import ServerUnreachable, connect
from tricorn.engines.request import TokenDelta
from tricorn.gateway.http.certificate import Certificate
from tricorn.gateway.http.patience import Patience
from tricorn.settings.config import Settings
from tricorn.worker.protocol import Delta, Finished, Started

pytestmark = needs_openssl


class SecureGunicorn(Gunicorn):
    """One that speaks https."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        super().__init__(settings)

    def _answers(self) -> bool:
        assert self.process.poll() is None, "gunicorn ended"
        return connect(self.settings, url=None, key=None).is_up()

    def connection(self) -> ssl.SSLSocket:
        assert self.settings.tls_cert is not None
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=10)
        return tls.own_client_context(self.settings.tls_cert).wrap_socket(plain)

    def post(self, body: dict[str, object]) -> ssl.SSLSocket:  # type: ignore[override]
        payload = json.dumps({"model": "m", **body}).encode()
        sock = self.connection()
        sock.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: llm.example.com\r\n"
            b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%b"
            % (len(payload), payload)
        )
        return sock


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("certificates")
    for name in ("first", "second"):
        make(made, name)
    put(made, "first")
    return made


def put(folder: Path, name: str, key: str | None = None) -> None:
    """Have the server's files be those."""
    shutil.copy(folder / f"{key or name}.key", folder / "live.key")
    shutil.copy(folder / f"{name}.pem", folder / "live.pem")


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Settings:
    return Settings(
        run_dir=tmp_path_factory.mktemp("g"),
        port=free_port(),
        workers=1,
        drain_timeout_s=1,
        header_timeout_s=1,
        send_timeout_s=0.5,
        min_transfer_rate=10_000_000,
        tls_cert=folder / "live.pem",
        tls_key=folder / "live.key",
    )


@pytest.fixture(scope="module")
def gunicorn(settings: Settings, control: ControlServer) -> Iterator[SecureGunicorn]:
    running = SecureGunicorn(settings)
    yield running
    running.close()


def read_until(sock: socket.socket, words: bytes) -> bytes:
    received = b""
    while words not in received:
        piece = sock.recv(65536)
        assert piece, received
        received += piece
    return received


def shown(gunicorn: SecureGunicorn) -> bytes | None:
    """The certificate that a new connection gets."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    plain = socket.create_connection(("127.0.0.1", gunicorn.port), timeout=10)
    with context.wrap_socket(plain) as sock:
        return sock.getpeercert(binary_form=True)


def der(path: Path) -> bytes:
    return ssl.PEM_cert_to_DER_cert(path.read_text())


def test_a_stream(gunicorn: SecureGunicorn, worker: ScriptedWorker, control: ControlServer) -> None:
    """Every token comes, in order and encrypted, and a browser is told to stay with https."""
    texts = [f"[{number}]" for number in range(300)]
    with gunicorn.post({"messages": MESSAGES, "stream": True}) as sock:
        start = worker.started()
        worker.send(Started(start.id, 3), Delta(start.id, TokenDelta(0, "first", [1])))
        received = read_until(sock, b'"first"')
        for text in texts:
            worker.send(Delta(start.id, TokenDelta(0, text, [1])))
        worker.send(Delta(start.id, TokenDelta(0, "", [1], "stop")), Finished(start.id))
        received += read_until(sock, b"data: [DONE]")
    assert b"Strict-Transport-Security: max-age=31536000" in received
    at = 0
    for text in texts:
        at = received.index(f'"{text}"'.encode(), at)
    assert control.released.get(timeout=5) is False


def test_a_client_that_leaves(
    gunicorn: SecureGunicorn, worker: ScriptedWorker, control: ControlServer
) -> None:
    """It is noticed as on a plain connection."""
    sock = gunicorn.post({"messages": MESSAGES, "stream": True})
    start = worker.started()
    worker.send(Started(start.id, 3), Delta(start.id, TokenDelta(0, "Hi", [1])))
    read_until(sock, b'"Hi"')
    sock.close()
    assert worker.cancelled() == start.id
    assert control.released.get(timeout=5) is False


def test_a_stream_that_nobody_reads(
    gunicorn: SecureGunicorn, worker: ScriptedWorker, control: ControlServer
) -> None:
    """It is cut as on a plain connection."""
    with gunicorn.post({"messages": MESSAGES, "stream": True}):
        start = worker.started()
        worker.send(Started(start.id, 3))
        for _ in range(4000):
            worker.send(Delta(start.id, TokenDelta(0, "x" * 3000, [1])))
        assert worker.cancelled(10) == start.id
        assert control.released.get(timeout=10) is False


def test_what_runs_here_calls_it(
    gunicorn: SecureGunicorn, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commands and the health check trust the server's own certificate; others do not."""
    assert connect(settings, url=None, key=None).get("/health") == {"status": "ok"}
    monkeypatch.setattr(healthcheck, "load_settings", lambda: settings)
    assert healthcheck.main() == 0
    with pytest.raises(ServerUnreachable, match=r"not trusted here.*SSL_CERT_FILE"):
        connect(settings, url=f"https://127.0.0.1:{settings.port}", key=None).get("/health")


def test_a_client_without_tls(gunicorn: SecureGunicorn) -> None:
    """It is told what is wrong."""
    with socket.create_connection(("127.0.0.1", gunicorn.port), timeout=10) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert b'"code":"https_required"' in read_until(sock, b"}}")


@pytest.mark.parametrize("sent", [b"", b"\x16", b"\x16\x03\x01" + bytes(100)])
def test_no_handshake(gunicorn: SecureGunicorn, sent: bytes) -> None:
    """A connection without one is closed, when its time is over or at once."""
    with socket.create_connection(("127.0.0.1", gunicorn.port), timeout=10) as sock:
        sock.sendall(sent)
        with contextlib.suppress(ConnectionResetError):
            while sock.recv(1000):
                continue
    assert connect(gunicorn.settings, url=None, key=None).is_up()


def test_a_renewed_certificate(
    gunicorn: SecureGunicorn, worker: ScriptedWorker, folder: Path
) -> None:
    """New connections have it, without a word to the server; those that there are go on."""
    with gunicorn.post({"messages": MESSAGES, "stream": True}) as sock:
        start = worker.started()
        worker.send(Started(start.id, 3), Delta(start.id, TokenDelta(0, "before", [1])))
        read_until(sock, b'"before"')
        put(folder, "second")
        wait_until(lambda: shown(gunicorn) == der(folder / "second.pem"))
        worker.send(Delta(start.id, TokenDelta(0, "after", [1], "stop")), Finished(start.id))
        read_until(sock, b"data: [DONE]")
    put(folder, "first")


def test_one_that_is_of_no_use(folder: Path) -> None:
    """The old one stays, and the log says why, once; the next good one is taken."""
    live = (folder / "live.pem", folder / "live.key")
    put(folder, "first")
    certificate = Certificate(*live, Patience())
    held = certificate._context
    put(folder, "first", key="second")
    with capture_logs() as lines:
        for _ in range(3):
            certificate.look()
    assert certificate._context is held
    assert [line["error"] for line in lines] == [
        f"TLS_KEY: {live[1]} is not the key of the certificate in {live[0]}"
    ]
    put(folder, "second")
    certificate.look()
    second = certificate._context
    assert second is not held
    certificate.look()
    assert certificate._context is second
    put(folder, "first")
