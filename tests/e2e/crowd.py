"""Hundreds of clients at once on one event loop: such as read slowly, and such as leave.

Each reads with a small window of TCP, a few bytes at a time, so that what it does not read is the
server's to keep.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import resource
import socket
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Leaving = Literal["in the head", "in the body", "after the request", "in the stream"]
LEAVINGS: tuple[Leaving, ...] = (
    "in the head", "in the body", "after the request", "in the stream",
)  # fmt: skip

WINDOW = 4096
"""Bytes that a client's system takes for it."""
READ_AHEAD = 512
FILES = 4096
DEADLINE_S = 90.0


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    def events(self) -> list[Any]:
        """A stream's, in order: JSON, or the text where it is none."""
        found = [
            part.removeprefix("data: ")
            for part in self.body.decode().split("\n\n")
            if part.startswith("data: ")
        ]
        return [json.loads(one) if one.startswith("{") else one for one in found]

    def text(self) -> str:
        """What a whole chat's stream says. AssertionError where it has no end, or not one."""
        *chunks, last = self.events()
        assert last == "[DONE]", last
        choices = [choice for chunk in chunks for choice in chunk["choices"]]
        ends = [choice["finish_reason"] for choice in choices if choice["finish_reason"]]
        assert ends == ["stop"], ends
        assert choices[-1]["finish_reason"] == "stop"
        return "".join(choice["delta"].get("content") or "" for choice in choices)


@dataclass
class Crowd:
    """port: of the server. seed: by which clients differ from one another."""

    port: int
    seed: int = 0
    resting_until: int = 0
    """So many streams have ended when those that rest read on."""
    answers: dict[int, Answer] = field(default_factory=dict)
    _ended: int = 0

    def come(
        self, bodies: Sequence[dict[str, Any]], *, leaving: int = 0, resting: int = 0
    ) -> list[Answer]:
        """All at once: one that reads slowly for each of `bodies`, of which the first `resting`
        stop reading for a while, and `leaving` that do not stay. What the others were answered."""
        with _many_files():
            asyncio.run(self._come(bodies, leaving, resting))
        return [self.answers[number] for number in range(len(bodies))]

    async def _come(self, bodies: Sequence[dict[str, Any]], leaving: int, resting: int) -> None:
        self._go_on = asyncio.Event()
        async with asyncio.timeout(DEADLINE_S):
            async with asyncio.TaskGroup() as tasks:
                for number, body in enumerate(bodies):
                    tasks.create_task(self._stay(number, body, rests=number < resting))
                for number in range(leaving):
                    how = LEAVINGS[number % len(LEAVINGS)]
                    tasks.create_task(self._leave(number, how, bodies[number % len(bodies)]))

    async def _stay(self, number: int, body: dict[str, Any], *, rests: bool) -> None:
        chance = random.Random(f"{self.seed} stays {number}")
        reader, writer = await self._connect()
        try:
            writer.write(_request(body))
            head = await reader.readuntil(b"\r\n\r\n")
            received = bytearray()
            while piece := await reader.read(chance.randint(8, 400)):
                received += piece
                if rests and len(received) > 2000:
                    rests = False
                    await self._go_on.wait()
                await asyncio.sleep(0)
        finally:
            writer.close()
        self.answers[number] = _answer(head, bytes(received))
        self._ended += 1
        if self._ended >= self.resting_until:
            self._go_on.set()

    async def _leave(self, number: int, how: Leaving, body: dict[str, Any]) -> None:
        chance = random.Random(f"{self.seed} leaves {number}")
        reader, writer = await self._connect()
        request = _request(body)
        ends = request.index(b"\r\n\r\n") + 4
        match how:
            case "in the head":
                request = request[: chance.randrange(1, ends)]
            case "in the body":
                request = request[: chance.randrange(ends, len(request))]
        writer.write(request)
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            await writer.drain()
            if how == "in the stream":
                await reader.read(chance.randint(1, 3000))
        if number % 3 == 0:  # a reset, instead of a polite end
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.close()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, WINDOW)
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", self.port))
        return await asyncio.open_connection(sock=sock, limit=READ_AHEAD)


def _request(body: dict[str, Any]) -> bytes:
    payload = json.dumps(body).encode()
    head = (
        "POST /v1/chat/completions HTTP/1.1\r\nHost: crowd\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(payload)}\r\n\r\n"
    )
    return head.encode() + payload


def _answer(head: bytes, body: bytes) -> Answer:
    status, *lines = head.decode().strip().split("\r\n")
    pairs = (line.split(": ", 1) for line in lines)
    headers = {name.lower(): value for name, value in pairs}
    if headers.get("transfer-encoding") == "chunked":
        body = _joined(body)
    else:
        assert len(body) == int(headers["content-length"])
    return Answer(int(status.split()[1]), headers, body)


def _joined(body: bytes) -> bytes:
    """A body's chunks. AssertionError where they are not whole."""
    found = bytearray()
    at = 0
    while True:
        end = body.index(b"\r\n", at)
        size = int(body[at:end], 16)
        at = end + 2 + size
        found += body[end + 2 : at]
        assert body[at : at + 2] == b"\r\n"
        at += 2
        if size == 0:
            assert at == len(body), "something came after the last chunk"
            return bytes(found)


@contextlib.contextmanager
def _many_files() -> Iterator[None]:
    """This process may have a thousand connections meanwhile."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
