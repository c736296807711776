"""Just enough of the GGUF file format to know a model file from a broken one.

Source: the GGUF specification (ggml, docs/gguf.md). A file opens with the magic `GGUF`, then a u32
version, then u64 tensor count and u64 metadata count, all little-endian for the versions here.
Reading 24 bytes keeps a scan of hundreds of files cheap; the engine checks the rest on load.
"""

from __future__ import annotations

import re
import struct
from pathlib import Path

MAGIC = b"GGUF"
VERSIONS = (2, 3)
HEADER = struct.Struct("<4sIQQ")
SPLIT_NAME = re.compile(r"^(?P<stem>.+)-(?P<part>\d{5})-of-(?P<parts>\d{5})$")


def fault_of(path: Path) -> str | None:
    """Why this file is no model that can be loaded; None when nothing is against it."""
    try:
        with path.open("rb") as file:
            head = file.read(HEADER.size)
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    if not head:
        return "the file is empty"
    if head[:4] != MAGIC:
        return "not a GGUF file: it does not begin with the letters GGUF"
    if len(head) < HEADER.size:
        return "the file is cut off within its header"
    _, version, tensors, _ = HEADER.unpack(head)
    if version not in VERSIONS:
        return f"GGUF version {version} is not supported, only {' and '.join(map(str, VERSIONS))}"
    return None if tensors else "the file holds no tensors (a vocabulary only)"


def split_of(stem: str) -> tuple[str, int, int] | None:
    """`name-00002-of-00005` is (name, 2, 5); None for a file that is not part of a split model."""
    match = SPLIT_NAME.match(stem)
    if match is None:
        return None
    return match["stem"], int(match["part"]), int(match["parts"])


def model_name(path: Path) -> str:
    """The name of the model that a file belongs to: its stem, less the part of a split model."""
    split = split_of(path.stem)
    return split[0] if split else path.stem
