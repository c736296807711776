"""A request's head, read to the letter. Where gevent's own server forgives, a proxy in front of it
may read otherwise, and then one of them takes a part of a request for the next one."""

from __future__ import annotations

import re
from typing import BinaryIO

MAX_LINE = 8190
MAX_LINES = 100
"""Both as under gunicorn."""
_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):([\t\x20-\x7e\x80-\xff]*)\r\n")


def read(file: BinaryIO) -> bytes:
    """Its lines after the first, up to the empty one. ValueError for what is no head."""
    lines: list[bytes] = []
    lengths: list[bytes] = []
    codings: list[bytes] = []
    while (line := file.readline(MAX_LINE + 1)) != b"\r\n":
        found = _LINE.fullmatch(line)
        if found is None or len(lines) == MAX_LINES:
            raise ValueError("a line of its head is none")
        name, value = found[1].lower(), found[2].strip(b" \t")
        if name == b"content-length":
            lengths.append(value)
        elif name == b"transfer-encoding":
            codings.append(value)
        lines.append(line)
    if len(lengths) + len(codings) > 1:
        raise ValueError("it says twice where its body ends")
    if any(not length.isdigit() for length in lengths):
        raise ValueError("its length is none")
    if any(coding.lower() != b"chunked" for coding in codings):
        raise ValueError("its transfer coding is not known")
    return b"".join([*lines, line])
