"""What the first bytes of an image tell: its type and its size. Pure, decodes nothing."""

from __future__ import annotations

import struct
from dataclasses import dataclass

MAX_SEGMENTS = 2000
"""Of a JPEG before its size; cameras and editors write some dozens."""

_JPEG_ALONE = {0x01, *range(0xD0, 0xD8)}
"""Markers that no length follows."""
_JPEG_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_JPEG_DATA = {0xD9, 0xDA}
"""The picture itself begins, or ends: its size would have come before."""


@dataclass(frozen=True)
class ImageFacts:
    kind: str
    """PNG, JPEG, WebP or GIF."""
    width: int
    height: int

    @property
    def pixels(self) -> int:
        return self.width * self.height


def image_facts(data: bytes) -> ImageFacts:
    """ValueError, in words, where `data` is no image of a known type or has no size."""
    try:
        facts = _facts(data)
    except (struct.error, IndexError) as error:
        raise ValueError("the image ends within its header") from error
    if not facts.width or not facts.height:
        raise ValueError(f"the {facts.kind} image has no size")
    return facts


def _facts(data: bytes) -> ImageFacts:
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return ImageFacts("PNG", *struct.unpack_from(">II", data, 16))
    if data[:6] in (b"GIF87a", b"GIF89a"):
        return ImageFacts("GIF", *struct.unpack_from("<HH", data, 6))
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return ImageFacts("WebP", *_webp(data))
    if data.startswith(b"\xff\xd8\xff"):
        return ImageFacts("JPEG", *_jpeg(data))
    raise ValueError("it is no PNG, JPEG, WebP or GIF image")


def _jpeg(data: bytes) -> tuple[int, int]:
    """(width, height) from the first frame header."""
    at = 2
    for _ in range(MAX_SEGMENTS):
        if data[at] != 0xFF:
            raise ValueError("the JPEG image has a broken header")
        marker = data[at + 1]
        if marker == 0xFF:  # padding
            at += 1
        elif marker in _JPEG_ALONE:
            at += 2
        elif marker in _JPEG_FRAMES:
            height, width = struct.unpack_from(">HH", data, at + 5)
            return width, height
        elif marker in _JPEG_DATA:
            raise ValueError("the JPEG image has no size")
        else:
            at += 2 + struct.unpack_from(">H", data, at + 2)[0]
    raise ValueError("the JPEG image has a broken header")


def _webp(data: bytes) -> tuple[int, int]:
    kind = data[12:16]
    if kind == b"VP8X":
        width, height = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))
        data[29]  # IndexError where it is cut short
        return width, height
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    raise ValueError("the WebP image has a broken header")
