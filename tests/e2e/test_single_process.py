"""The gateway of Windows, on Linux: gevent's own server, and TCP between all processes."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from tests.e2e.server import END_S, Server, events, is_alive, running, user
from tests.polling import wait_until

pytestmark = pytest.mark.timeout(120)
LEAVES_ROOM = True

TEXT = "tick tock " * 20
MODELS = {
    "slow": {"engine": "fake", "engine_args": {"answer": TEXT, "token_delay_s": 0.02}},
    "echo": {"engine": "fake"},
}
CONFIG = {"models": MODELS, "gateway_server": "pywsgi", "transport": "tcp", "header_timeout_s": 1}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running(config=json.dumps(CONFIG), default_model="slow", mode="prod") as found:
        yield found


def chat(model: str, **more: Any) -> dict[str, Any]:
    return {"model": model, "messages": user("Hello!"), **more}


def head_of(path: str, *lines: str) -> bytes:
    return "\r\n".join([f"POST {path} HTTP/1.1", "Host: here", *lines, "", ""]).encode()


def text_of(stream: Iterator[Any]) -> str:
    return "".join(
        event["choices"][0]["delta"].get("content") or ""
        for event in stream
        if isinstance(event, dict) and event["choices"]
    )


def test_one_process_serves(server: Server) -> None:
    """No gunicorn; an answer that is whole, and one connection for several."""
    assert server.gateways() == []
    with httpx.Client(timeout=END_S) as client:
        for _ in range(3):
            told = client.post(f"{server.url}/v1/chat/completions", json=chat("echo"))
            assert (told.status_code, told.json()["object"]) == (200, "chat.completion")
        assert client.get(f"{server.url}/nothing").json()["error"]["code"] == "not_found"


def test_tokens_come_one_by_one(server: Server) -> None:
    """The first is there while the model works; who leaves then ends the request at once."""
    url = f"{server.url}/v1/chat/completions"
    with server.figures() as figures:
        before = figures().generated_tokens
        with httpx.stream("POST", url, json=chat("slow", stream=True), timeout=END_S) as response:
            assert response.headers["content-type"].startswith("text/event-stream")
            stream = events(response)  # kept: its end would close the connection
            for event in stream:
                if isinstance(event, dict) and event["choices"][0]["delta"].get("content"):
                    break
            assert figures().running == 1
        wait_until(lambda: figures().running == 0)
        assert figures().generated_tokens - before < len(TEXT)


def test_waiting_client_leaves(server: Server) -> None:
    """The same where nothing has been sent yet."""
    body = json.dumps(chat("slow")).encode()
    head = head_of(
        "/v1/chat/completions", "Content-Type: application/json", f"Content-Length: {len(body)}"
    )
    with server.figures() as figures:
        before = figures().generated_tokens
        with socket.create_connection(("127.0.0.1", server.port)) as caller:
            caller.sendall(head + body)
            wait_until(lambda: figures().running == 1)
        wait_until(lambda: figures().running == 0)
        assert figures().generated_tokens - before < len(TEXT)


@pytest.mark.parametrize(
    "sent",
    [
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: here\r\n",  # and never the rest
        head_of("/v1/chat/completions", "Content-Length: 99999999999"),
        b"nonsense\r\n\r\n",
    ],
    ids=["slow head", "endless body", "no request"],
)
def test_bad_clients_are_let_go(server: Server, sent: bytes) -> None:
    """With an answer, and not kept for longer than HEADER_TIMEOUT_S."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=END_S) as caller:
        caller.sendall(sent)
        answer = b""
        while piece := caller.recv(65536):
            answer += piece
    assert answer.startswith(b"HTTP/1.1 4")
    assert httpx.get(f"{server.url}/health").status_code == 200


@pytest.mark.parametrize(
    "first",
    [
        head_of("/health", "Content-Length: 5", "Transfer-Encoding: chunked") + b"0\r\n\r\n",
        head_of("/health", "Content-Length: 0", "Content-Length: 0"),
        head_of("/health", "Transfer-Encoding : chunked") + b"0\r\n\r\n",
        b"POST /health HTTP/1.1\nHost: here\nContent-Length: 0\n\n",
        b"POST /health HTTP/1.1 \r\nHost: here\r\nContent-Length: 0\r\n\r\n",
        head_of("/health", "Transfer-Encoding: chunked") + b"+0\r\n\r\n",
    ],
    ids=["two ways", "two lengths", "space", "line feeds", "first line", "chunk"],
)
def test_nothing_is_smuggled(server: Server, first: bytes) -> None:
    """One answer, and the connection's end: what follows is not taken for a request."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=END_S) as caller:
        caller.sendall(first + b"GET /health HTTP/1.1\r\nHost: here\r\n\r\n")
        answer = b""
        while piece := caller.recv(65536):
            answer += piece
    assert answer.count(b"HTTP/1.1 ") == 1
    assert answer.startswith(b"HTTP/1.1 4")


def test_replaced_and_stopped(server: Server) -> None:
    """A stream outlives its gateway's replacement, and one the end of Tricorn."""
    url = f"{server.url}/v1/chat/completions"
    with ThreadPoolExecutor() as pool:

        def streamed() -> str:
            with httpx.stream("POST", url, json=chat("slow", stream=True), timeout=END_S) as found:
                return text_of(events(found))

        with server.figures() as figures:
            first = pool.submit(streamed)
            wait_until(lambda: figures().running == 1)
            told = httpx.post(f"{server.url}/v1/admin/gateway/restart", timeout=60).json()
            assert (told["object"], told["workers"]) == ("gateway.restart", 1)
            assert first.result(END_S) == TEXT
            second = pool.submit(streamed)
            wait_until(lambda: figures().running == 1)
        idle = socket.create_connection(("127.0.0.1", server.port))
        processes = server.processes()
        assert server.stop() == 0
        assert second.result(END_S) == TEXT
        idle.close()
    wait_until(lambda: not any(is_alive(process) for process in processes))
