"""Ids of calls as templates want them: the same one for a call and its result."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from tricorn.chat.tools.format import Format

MISTRAL_ID = 9
"""Characters, letters and digits."""


def adapted(messages: Sequence[Mapping[str, Any]], form: Format) -> list[dict[str, Any]]:
    """The messages with the ids that `form` wants, and with names beside results where it wants
    these."""
    if not form.ids and not form.named_results:
        return [dict(message) for message in messages]
    ids: dict[str, str] = {}
    names: dict[str, str] = {}
    told = []
    for message in messages:
        message = dict(message)
        if message.get("tool_calls"):
            calls = []
            for call in message["tool_calls"]:
                name = call["function"]["name"]
                ids[call["id"]] = _spelled(call["id"], name, len(ids), form.ids)
                names[call["id"]] = name
                calls.append({**call, "id": ids[call["id"]]})
            message["tool_calls"] = calls
        elif message.get("role") == "tool":
            call_id = message["tool_call_id"]
            if form.named_results and call_id in names:
                message.setdefault("name", names[call_id])
            message["tool_call_id"] = ids.get(call_id, call_id)
        told.append(message)
    return told


def _spelled(call_id: str, name: str, number: int, style: str) -> str:
    """number: of the call, in the conversation."""
    if style == "kimi":
        return f"functions.{name}:{number}"
    if style == "mistral" and not (len(call_id) == MISTRAL_ID and call_id.isalnum()):
        return hashlib.sha256(call_id.encode()).hexdigest()[:MISTRAL_ID]
    return call_id
