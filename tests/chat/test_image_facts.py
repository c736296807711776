"""What the first bytes of an image tell."""

from __future__ import annotations

import struct

import pytest
from tests.images import png

from tricorn.chat.image_facts import MAX_SEGMENTS, image_facts


def _jpeg(*segments: bytes, frame: int = 0xC0) -> bytes:
    header = struct.pack(">BBHBHHB", 0xFF, frame, 11, 8, 30, 40, 3)
    return b"\xff\xd8" + b"".join(segments) + header


def _webp(kind: bytes, data: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", 4 + 8 + len(data)) + b"WEBP" + kind + bytes(4) + data


APP = b"\xff\xe1" + struct.pack(">H", 300) + bytes(298)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (png(width=40, height=30), "PNG"),
        (b"GIF89a" + struct.pack("<HH", 40, 30), "GIF"),
        (b"GIF87a" + struct.pack("<HH", 40, 30), "GIF"),
        (_jpeg(), "JPEG"),
        (_jpeg(APP, b"\xff\xff", APP, b"\xff\x01", frame=0xC2), "JPEG"),
        (_webp(b"VP8 ", b"\0\0\0\x9d\x01\x2a" + struct.pack("<HH", 40, 30)), "WebP"),
        (_webp(b"VP8L", b"\x2f" + struct.pack("<I", 39 | 29 << 14)), "WebP"),
        (_webp(b"VP8X", bytes(4) + b"\x27\0\0\x1d\0\0"), "WebP"),
    ],
)
def test_type_and_size(data: bytes, kind: str) -> None:
    """Of each type, where its format says they are."""
    facts = image_facts(data)
    assert (facts.kind, facts.width, facts.height, facts.pixels) == (kind, 40, 30, 1200)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "no PNG"),
        (b"<svg/>", "no PNG"),
        (b"BM" + bytes(60), "no PNG"),
        (png()[:20], "ends within"),
        (png(width=0, height=0), "has no size"),
        (b"\xff\xd8\xff", "ends within"),
        (b"\xff\xd8\xff\xd9" + bytes(9), "has no size"),
        (b"\xff\xd8" + APP + bytes(9), "broken"),
        (b"\xff\xd8" + b"\xff\xd0" * (MAX_SEGMENTS + 1), "broken"),
        (_webp(b"VP8X", bytes(5)), "ends within"),
        (_webp(b"ABCD", bytes(20)), "broken"),
    ],
)
def test_what_is_no_image(data: bytes, why: str) -> None:
    """Is refused in words, however it is broken."""
    with pytest.raises(ValueError, match=why):
        image_facts(data)
