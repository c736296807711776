"""How many messages a request may have: each costs time before anybody knows what it says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tricorn.errors import InvalidRequest

PARTS = 10
"""Parts and calls of all messages together: so many for each message that is allowed."""


def check(body: Mapping[str, Any], most: int) -> None:
    """InvalidRequest names the field: of chats `messages`, of the Responses API `input`."""
    for field in ("messages", "input"):
        messages = body.get(field)
        # Anything else that is called `input` has a limit of its own.
        if not isinstance(messages, list) or not any(isinstance(one, dict) for one in messages[:1]):
            continue
        if len(messages) > most:
            raise InvalidRequest(
                f"This server takes at most {most} messages (MAX_MESSAGES), got {len(messages)}.",
                param=field,
            )
        parts = sum(map(_parts, messages))
        if parts > most * PARTS:
            raise InvalidRequest(
                f"The messages have {parts} parts and calls, of at most {most * PARTS} "
                "(ten for each of MAX_MESSAGES).",
                param=field,
            )


def _parts(message: object) -> int:
    if not isinstance(message, dict):
        return 0
    lists = (message.get("content"), message.get("tool_calls"))
    return sum(len(one) for one in lists if isinstance(one, list))
