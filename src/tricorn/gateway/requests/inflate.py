"""Compressed bodies, taken apart piece by piece: never more in memory than a body may have."""

from __future__ import annotations

import zlib
from collections.abc import Iterable

from tricorn.errors import InvalidRequest

_WINDOWS = {"gzip": 31, "x-gzip": 31, "deflate": 15}
"""zlib's numbers for the two formats."""
CODINGS = frozenset(_WINDOWS)
ACCEPTED = "gzip, deflate"


class TooMuch(ValueError):
    """More comes out of it than may."""


def inflated(pieces: Iterable[bytes], coding: str, limit: int) -> bytes:
    """What comes out. coding: one of CODINGS.

    TooMuch at the first byte beyond `limit`; InvalidRequest where it is no such data, or not all of
    it, or something follows.
    """
    machine = zlib.decompressobj(_WINDOWS[coding])
    out = bytearray()
    try:
        for piece in pieces:
            out += machine.decompress(piece, limit + 1 - len(out))
            if len(out) > limit:
                raise TooMuch
    except zlib.error as error:
        raise InvalidRequest(f"The request body is not valid {coding} data.") from error
    if not machine.eof:
        raise InvalidRequest(f"The request body is {coding} data without an end.")
    if machine.unused_data:
        raise InvalidRequest(f"Something follows the {coding} data of the request body.")
    return bytes(out)
