"""Frames on a socket: `u32 big-endian length | msgpack`. Shared by every process of Tricorn.

Measured against HTTP and ZeroMQ between gateway and engine worker: least CPU, explicit cancel, and
a lost connection is one event that cancels everything behind it.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import TypeVar

import msgspec

HEADER = struct.Struct(">I")
MAX_FRAME = 256 * 1024 * 1024
"""Bytes. A longer frame means that the peer does not speak this protocol."""
MAX_HELLO = 4096
"""… and of the first one, by which a peer shows that it may speak at all: so much a stranger can
have kept of it."""

MessageT = TypeVar("MessageT")


class FrameError(ConnectionError):
    """The peer sent something that is no frame."""


def pack(payload: bytes) -> bytes:
    """`payload` with its length in front."""
    return HEADER.pack(len(payload)) + payload


class FrameReader:
    """Cuts a byte stream into frames; no I/O of its own."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """The payloads that `data` completes, in order. FrameError where a length is absurd."""
        self._buffer += data
        frames: list[bytes] = []
        start = 0
        while len(self._buffer) - start >= HEADER.size:
            (length,) = HEADER.unpack_from(self._buffer, start)
            if length > MAX_FRAME:
                raise FrameError(f"frame of {length} bytes announced")
            end = start + HEADER.size + length
            if len(self._buffer) < end:
                break
            frames.append(bytes(self._buffer[start + HEADER.size : end]))
            start = end
        del self._buffer[:start]
        return frames


def decoder(kind: type[MessageT]) -> Callable[[bytes], MessageT]:
    """Payloads to messages of that type, or union of types. FrameError for every other payload."""
    decode = msgspec.msgpack.Decoder(kind).decode

    def decoded(payload: bytes) -> MessageT:
        try:
            return decode(payload)
        # Text that is none, and arrays in arrays without end, are no DecodeError of msgspec's.
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise FrameError(f"not understood: {error}") from error

    return decoded


async def read_frame(reader: asyncio.StreamReader, most: int = MAX_FRAME) -> bytes | None:
    """The next payload, or None when the peer closed. FrameError where its length is absurd.

    most: bytes that it may have.
    """
    try:
        (length,) = HEADER.unpack(await reader.readexactly(HEADER.size))
        if length > most:
            raise FrameError(f"frame of {length} bytes announced")
        return await reader.readexactly(length)
    except (asyncio.IncompleteReadError, ConnectionResetError, BrokenPipeError):
        return None


def connect(address: str, timeout_s: float) -> socket.socket:
    """A blocking socket to `unix:PATH` or `tcp:HOST:PORT`. OSError where nobody listens."""
    scheme, _, rest = address.partition(":")
    if scheme == "unix":
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(timeout_s)
        try:
            sock.connect(rest)
        except OSError:
            sock.close()
            raise
    elif scheme == "tcp":
        host, _, port = rest.rpartition(":")
        sock = socket.create_connection((host, int(port)), timeout=timeout_s)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    else:
        raise ValueError(f"not an address: {address!r}")
    sock.settimeout(None)
    return sock


async def open_connection(address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """As `connect`, for asyncio."""
    scheme, _, rest = address.partition(":")
    if scheme == "unix":
        return await asyncio.open_unix_connection(rest)
    host, _, port = rest.rpartition(":")
    return await asyncio.open_connection(host, int(port))
