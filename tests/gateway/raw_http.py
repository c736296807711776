"""HTTP by hand, for tests of what no client library would do."""

from __future__ import annotations

import json
import re
import socket

HEALTH = b"GET /health HTTP/1.1\r\nHost: t\r\n\r\n"


def rest(sock: socket.socket) -> bytes:
    """All that still comes, until the server closes the connection."""
    received = b""
    while piece := sock.recv(65536):
        received += piece
    return received


def one(sock: socket.socket) -> bytes:
    """The next answer, which says how long it is."""
    with sock.makefile("rb", buffering=0) as stream:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += stream.read(1)
        (length,) = re.findall(rb"Content-Length: (\d+)", head)
        body = b""
        while len(body) < int(length):
            body += stream.read(int(length) - len(body))
    return head + body


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def code(answer: bytes) -> str:
    """Of the error."""
    found: str = json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["code"]
    return found


def drip(sock: socket.socket) -> bytes:
    """Send a byte now and then for as long as that goes; then what was answered."""
    sock.settimeout(0.05)
    received = b""
    while True:
        try:
            sock.sendall(b"x")
            piece = sock.recv(65536)
        except TimeoutError:
            continue
        except OSError:
            return received
        if not piece:
            return received
        received += piece
