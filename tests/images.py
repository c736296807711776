"""Images for tests: real ones, made without an image library."""

from __future__ import annotations

import base64
import random
import struct
import zlib
from typing import Any


def png(seed: int = 1, *, width: int = 24, height: int = 18) -> bytes:
    """An RGB image of coloured squares, another one for each seed."""
    colours = random.Random(seed)
    squares = [[colours.randbytes(3) for _ in range(0, width, 6)] for _ in range(0, height, 6)]
    rows = [b"\0" + b"".join(squares[y // 6][x // 6] for x in range(width)) for y in range(height)]
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
        + _chunk(b"IDAT", zlib.compress(b"".join(rows)))
        + _chunk(b"IEND", b"")
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def data_url(image: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{base64.b64encode(image).decode()}"


def part(url: str | bytes, **more: Any) -> dict[str, Any]:
    """A content part with the image, or with its URL."""
    if isinstance(url, bytes):
        url = data_url(url)
    return {"type": "image_url", "image_url": {"url": url, **more}}
