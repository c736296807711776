"""What the names of GGUF files say: which model they belong to, and as which part."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from tricorn.model_facts.gguf import GgufFile

SPLIT_NAME = re.compile(r"^(?P<stem>.+)-(?P<part>\d{5})-of-(?P<parts>\d{5})$")


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


def parts(path: Path) -> list[Path]:
    """All files of the model that `path` belongs to, the first one first."""
    split = split_of(path.stem)
    if split is None:
        return [path]
    stem, _, count = split
    return [
        path.with_name(f"{stem}-{number:05d}-of-{count:05d}{path.suffix}")
        for number in range(1, count + 1)
    ]


def grouped(root: Path, files: Iterable[Path]) -> dict[str, list[Path]]:
    """Model id → all its files in order, there or not."""
    groups: dict[str, list[Path]] = {}
    for path in files:
        model_id = path.relative_to(root).with_name(model_name(path)).as_posix()
        found = parts(path)
        if len(found) > 1 or model_id not in groups:
            groups[model_id] = found
    return groups


def misnamed(path: Path, found: GgufFile) -> str | None:
    """Why a part cannot be put together with the others: llama.cpp finds them by their names."""
    if found.fault is not None or found.parts <= 1:
        return None
    split = split_of(path.stem)
    if split is not None and split[1:] == (found.part + 1, found.parts):
        return None
    return (
        f"this is part {found.part + 1} of {found.parts} of a model: its name must end in "
        f"-{found.part + 1:05d}-of-{found.parts:05d}.gguf"
    )
