"""Clients that are slow, or that send what is no request, at a real gunicorn."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import select
import socket
from collections.abc import Iterator

import pytest
from tests.gateway.control_server import ControlServer, free_port
from tests.gateway.engines import ScriptedWorker
from tests.gateway.gunicorn_server import MESSAGES, Gunicorn
from tests.gateway.raw_http import HEALTH, code, drip, one, rest, status

from tricorn.engines.request import TokenDelta
from tricorn.gateway.http.patience import MAX_HEAD_BYTES
from tricorn.settings.config import Settings
from tricorn.worker.protocol import Cancel, Delta, Started

pytestmark = pytest.mark.skipif(os.name != "posix", reason="gunicorn needs POSIX")
HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n"


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(
        run_dir=tmp_path_factory.mktemp("g"),
        port=free_port(),
        workers=1,
        drain_timeout_s=1,
        max_body_bytes=1_000_000,
        max_connections=4,
        header_timeout_s=0.4,
        body_timeout_s=0.4,
        send_timeout_s=0.4,
        keepalive_timeout_s=0.6,
        min_transfer_rate=10_000_000,
    )


@pytest.fixture
def sock(gunicorn: Gunicorn) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", gunicorn.port), timeout=10) as connection:
        yield connection


def test_a_connection_that_says_nothing(sock: socket.socket) -> None:
    """It is closed without a word."""
    assert rest(sock) == b""


def test_more_connections_than_there_may_be(gunicorn: Gunicorn) -> None:
    """The next one waits until another ends."""
    address = ("127.0.0.1", gunicorn.port)
    with contextlib.ExitStack() as stack:
        silent = [stack.enter_context(socket.create_connection(address, 10)) for _ in range(4)]
        late = stack.enter_context(socket.create_connection(address, 10))
        late.sendall(HEALTH)
        assert status(one(late)) == 200
        ended, _, _ = select.select(silent, [], [], 0)
        assert ended


def test_half_a_head(sock: socket.socket) -> None:
    """408, and the end."""
    sock.sendall(HEAD)
    answer = rest(sock)
    assert status(answer) == 408
    assert code(answer) == "header_timeout"
    assert b"X-Content-Type-Options: nosniff\r\n" in answer


def test_a_head_that_comes_bit_by_bit(sock: socket.socket) -> None:
    """Bytes do not buy time."""
    sock.sendall(HEAD + b"X-Long: ")
    assert status(drip(sock)) == 408


def test_a_connection_without_another_request(sock: socket.socket) -> None:
    """It is kept for a while, and then closed without a word."""
    for _ in range(2):
        sock.sendall(HEALTH)
        answer = one(sock)
        assert status(answer) == 200
        assert b"Connection: keep-alive" in answer
    assert rest(sock) == b""


def test_half_a_body(sock: socket.socket) -> None:
    """408 in the API's own form, and the end."""
    sock.sendall(HEAD + b"Content-Length: 1000\r\n\r\n{")
    answer = rest(sock)
    assert status(answer) == 408
    assert code(answer) == "body_timeout"
    assert b"Connection: close" in answer


def test_a_body_that_comes_bit_by_bit(sock: socket.socket) -> None:
    sock.sendall(HEAD + b"Content-Length: 1000\r\n\r\n{")
    assert status(drip(sock)) == 408


def test_chunks_that_do_not_end(sock: socket.socket) -> None:
    sock.sendall(HEAD + b'Transfer-Encoding: chunked\r\n\r\n5\r\n{"a":\r\n')
    assert status(rest(sock)) == 408


def test_a_refused_body_is_taken_before_the_end(sock: socket.socket) -> None:
    """Of one that is too large: a client that reads only when it has sent all gets its answer, and
    may ask again on the same connection."""
    sock.sendall(HEAD + b"Content-Length: 5000000\r\n\r\n" + bytes(5_000_000))
    assert status(one(sock)) == 413
    sock.sendall(HEALTH)
    assert status(one(sock)) == 200


def test_a_refused_body_that_does_not_come(sock: socket.socket) -> None:
    """It is not waited for longer than for any other."""
    sock.sendall(HEAD + b"Content-Length: 5000000\r\n\r\n")
    assert status(rest(sock)) == 413


def test_a_stream_that_nobody_reads(
    gunicorn: Gunicorn, worker: ScriptedWorker, control: ControlServer
) -> None:
    """It is cut: the engine stops and the lease comes back."""
    while not control.released.empty():
        control.released.get()
    with gunicorn.post({"messages": MESSAGES, "stream": True}) as unread:
        start = worker.started()
        worker.send(Started(start.id, 3))
        for _ in range(4000):
            worker.send(Delta(start.id, TokenDelta(0, "x" * 3000, [1])))
        op = worker.ops.get(timeout=10)
        assert isinstance(op, Cancel)
        assert op.id == start.id
        assert control.released.get(timeout=10) is False
        with pytest.raises(ConnectionResetError):
            rest(unread)


@pytest.mark.parametrize(
    ("sent", "expected", "told"),
    [
        (b"nonsense\r\n\r\n", 400, "bad_request"),
        (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\n\r\n", 414, "uri_too_long"),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 9000 + b"\r\n\r\n", 431, "headers_too_large"),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 101 + b"\r\n", 431, "headers_too_large"),
        (
            b"GET / HTTP/1.1\r\n" + (b"X: " + b"y" * 8000 + b"\r\n") * (MAX_HEAD_BYTES // 8000 + 1),
            431,
            "headers_too_large",
        ),
        (HEAD + b"Expect: wonders\r\n\r\n", 417, "expectation_failed"),
        (HEAD + b"Transfer-Encoding: br\r\n\r\n", 501, "unsupported_transfer_encoding"),
        (HEAD + b"Content-Length: -1\r\n\r\n", 400, "bad_request"),
        (HEAD + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", 400, "bad_request"),
        (
            HEAD + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
            "bad_request",
        ),
        (HEAD + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400, "bad_request"),
        (HEAD + b"X-Folded: a\r\n b\r\n\r\n", 400, "bad_request"),
        (HEAD + b"X-Null: a\x00b\r\n\r\n", 400, "bad_request"),
        (HEAD + b"X-Bare: a\nX-Other: b\r\n\r\n", 400, "bad_request"),
    ],
)
def test_what_is_no_request(sock: socket.socket, sent: bytes, expected: int, told: str) -> None:
    """It is refused in OpenAI's form, without a word of it, and the connection ends: what follows
    is never taken for a request."""
    sock.sendall(sent)
    answer = rest(sock)
    assert status(answer) == expected
    assert code(answer) == told
    assert answer.count(b"HTTP/1.1 ") == 1


def test_chunks_that_are_none(sock: socket.socket) -> None:
    """400, and what follows is not taken for a request."""
    sock.sendall(
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nGET /health HTTP/1.1\r\nHost: t\r\n\r\n"
    )
    answer = rest(sock)
    assert status(answer) == 400
    assert answer.count(b"HTTP/1.1 ") == 1


INJECTED = "a\r\nX-Injected: yes\r\n\r\nb"


@pytest.mark.parametrize(
    ("path", "body", "headers"),
    [
        ("/v1/chat/completions", {"model": INJECTED, "messages": MESSAGES, "n": 0}, {}),
        ("/v1/chat/completions", {"model": "m", "messages": [], INJECTED: 1}, {}),
        ("/v1/chat/completions", {"model": "m", "messages": MESSAGES, INJECTED: 1, "n": 0}, {}),
        ("/v1/models/a%0d%0aX-Injected:%20yes", {}, {}),
        ("/nowhere", {}, {"x-request-id": "a%0d%0aX-Injected: yes"}),
        ("/v1/models", {}, {"Origin": "http://a%0d%0aX-Injected: yes"}),
        (
            "/v1/models",
            {},
            {"Origin": "http://a", "Access-Control-Request-Headers": "a, X-Injected: yes"},
        ),
    ],
)
def test_headers_cannot_be_added(
    sock: socket.socket, path: str, body: dict[str, object], headers: dict[str, str]
) -> None:
    """By no line end in what is repeated of a request."""
    payload = json.dumps(body).encode()
    lines = [f"{name}: {value}\r\n" for name, value in headers.items()]
    sock.sendall(
        f"POST {path} HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n"
        f"Connection: close\r\nContent-Length: {len(payload)}\r\n{''.join(lines)}\r\n".encode()
        + payload
    )
    head, _, _ = rest(sock).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 4")
    assert b"\r\nx-injected" not in head.lower()


def test_gunicorn_believes_no_proxy(sock: socket.socket) -> None:
    """By default it would read these from loopback: refuse the first two together, and take the
    third for a part of every path."""
    sock.sendall(
        b"GET /health HTTP/1.1\r\nHost: t\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Ssl: off\r\n"
        b"SCRIPT_NAME: /made-up\r\n\r\n"
    )
    assert status(one(sock)) == 200


def test_the_server_does_not_say_which_it_is(sock: socket.socket) -> None:
    """No version of anything."""
    sock.sendall(b"GET /nowhere HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
    head = rest(sock).partition(b"\r\n\r\n")[0].decode()
    (server,) = [line for line in head.splitlines() if line.lower().startswith("server:")]
    assert not any(character.isdigit() for character in server)


def test_no_lease_is_left(control: ControlServer, worker: ScriptedWorker) -> None:
    """After all of the above."""
    with pytest.raises(queue.Empty):
        worker.ops.get_nowait()
