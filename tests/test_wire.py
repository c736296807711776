"""Frames on a socket."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tricorn.wire import HEADER, MAX_FRAME, FrameError, FrameReader, connect, pack, read_frame

PAYLOADS = [b"one", b"", b"x" * 300, b"last"]


def test_frames_fed_byte_by_byte_come_out_whole() -> None:
    """A frame comes with its last byte, not earlier and not twice."""
    reader = FrameReader()
    data = b"".join(pack(payload) for payload in PAYLOADS)
    ends = []
    got = []
    for position, byte in enumerate(data):
        frames = reader.feed(bytes([byte]))
        got += frames
        ends += [position + 1] * len(frames)
    expected = []
    total = 0
    for payload in PAYLOADS:
        total += HEADER.size + len(payload)
        expected.append(total)
    assert got == PAYLOADS
    assert ends == expected


def test_many_frames_in_one_read_come_out_in_order() -> None:
    """What is left over waits for its rest."""
    reader = FrameReader()
    data = b"".join(pack(payload) for payload in PAYLOADS) + pack(b"half")[:5]
    assert reader.feed(data) == PAYLOADS
    assert reader.feed(pack(b"half")[5:]) == [b"half"]


def test_an_absurd_length_is_refused() -> None:
    """Something that speaks HTTP is not waited for."""
    with pytest.raises(FrameError, match="announced"):
        FrameReader().feed(HEADER.pack(MAX_FRAME + 1))
    with pytest.raises(FrameError):
        FrameReader().feed(b"GET / HTTP/1.1\r\n")


def read_all(data: bytes) -> list[bytes | None]:
    """What read_frame gives of `data` followed by the end."""

    async def scenario() -> list[bytes | None]:
        reader = asyncio.StreamReader()
        reader.feed_data(data)
        reader.feed_eof()
        got: list[bytes | None] = []
        while not got or got[-1] is not None:
            got.append(await read_frame(reader))
        return got

    return asyncio.run(scenario())


def test_read_frame_ends_with_none() -> None:
    """The peer's end, between frames or within one, is None."""
    data = pack(b"a") + pack(b"bc")
    assert read_all(data) == [b"a", b"bc", None]
    assert read_all(data[:-1]) == [b"a", None]
    assert read_all(data[:7]) == [b"a", None]


def test_read_frame_refuses_an_absurd_length() -> None:
    """The length is checked before anything is waited for."""
    with pytest.raises(FrameError):
        read_all(HEADER.pack(MAX_FRAME + 1))


def unix(folder: Path) -> tuple[socket.socket, str]:
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / "s"))
    return listener, f"unix:{folder / 's'}"


def tcp(_folder: Path) -> tuple[socket.socket, str]:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    return listener, f"tcp:127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize("kind", [unix, tcp])
def test_connect_reaches_a_listener(
    tmp_path: Path, kind: Callable[[Path], tuple[socket.socket, str]]
) -> None:
    """Both kinds of address work, and the socket waits without a limit afterwards."""
    listener, address = kind(tmp_path)
    with listener:
        listener.listen()
        with connect(address, 5) as client:
            accepted, _ = listener.accept()
            with accepted:
                client.sendall(pack(b"hello"))
                accepted.settimeout(5)
                assert FrameReader().feed(accepted.recv(100)) == [b"hello"]
            assert client.gettimeout() is None


def test_connect_says_where_nobody_listens(tmp_path: Path) -> None:
    """OSError for an address without a listener, ValueError for what is none."""
    with pytest.raises(OSError):  # noqa: PT011 - which one differs by system
        connect(f"unix:{tmp_path / 'nobody'}", 1)
    with pytest.raises(ValueError, match="not an address"):
        connect("http://x", 1)
