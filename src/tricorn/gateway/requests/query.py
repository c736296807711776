"""What a request's query says, as numbers."""

from __future__ import annotations

from collections.abc import Mapping

from tricorn.errors import InvalidRequest

_DIGITS = 9
"""Of a longer one it is not asked what it amounts to: that takes long, and fails beyond 4300."""


def count(query: Mapping[str, str], name: str, default: int, most: int) -> int:
    """From 1 to `most`. InvalidRequest."""
    given = query.get(name)
    if given is None:
        return default
    plain = given.isascii() and given.isdigit() and len(given) <= _DIGITS
    if not (plain and 1 <= int(given) <= most):
        raise InvalidRequest(
            f"Invalid value for '{name}': must be from 1 to {most}, got {given[:32]!r}.",
            param=name,
        )
    return int(given)
