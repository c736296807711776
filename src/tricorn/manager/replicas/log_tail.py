"""What is kept and shown of a failed engine's log: nothing secret of its environment. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

MASK = "[redacted]"
SHORTEST = 6
"""A shorter value guards nothing by its length, and may be a part of many words …"""
SECRET_NAME = re.compile(r"TOKEN|SECRET|PASSW|KEY|CREDENTIAL|AUTH", re.IGNORECASE)
"""… but for one of such a name."""


def redacted(text: str, env: Mapping[str, str]) -> str:
    """`text` without the values of these environment variables."""
    secret = [
        value
        for name, value in env.items()
        if value.strip() and (len(value) >= SHORTEST or SECRET_NAME.search(name))
    ]
    # The longest first: one may contain another.
    for value in sorted(secret, key=len, reverse=True):
        text = text.replace(value, MASK)
    return text


def kept(lines: Sequence[str], env: Mapping[str, str]) -> list[str]:
    """The lines of a log, likewise."""
    return [redacted(line, env) for line in lines]
