"""What a key may be used for. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from fnmatch import fnmatchcase

ALL = "all"
PERMISSIONS = (
    ALL,
    "chat",
    "completions",
    "embeddings",
    "models:read",
    "models:manage",
    "metrics",
    "admin",
)
USING = ("chat", "completions", "embeddings", "models:read")
"""What a key may do that is made without a word about it: use models, and see which there are."""

_IMPLIED = {"models:manage": ("models:read",)}


def holds(given: Collection[str], wanted: Iterable[str]) -> bool:
    """Whether any of `wanted` is among what was given, by name or by what that includes."""
    have = {*given, *(more for one in given for more in _IMPLIED.get(one, ()))}
    return ALL in have or any(one in have for one in wanted)


def matches(patterns: Collection[str], names: Iterable[str]) -> bool:
    """Whether one of `names`, which a model has, fits a pattern (`qwen*`, `org/?-small`).

    No patterns allow every model. Letters count as they are written.
    """
    if not patterns:
        return True
    return any(fnmatchcase(name, pattern) for name in names for pattern in patterns)
