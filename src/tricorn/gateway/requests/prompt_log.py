"""What a request says, for the log: only where LOG_PROMPTS is on."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

MAX_CHARACTERS = 16 * 1024
LEFT_OUT = ("id", "request_id", "images", "params")
"""Of what goes to an engine: numbers of ours, and pictures."""


def shown(prompts: Sequence[msgspec.Struct]) -> str | None:
    """Prompts, or what else an engine is asked, as JSON, cut where it is long; None where there are
    none."""
    told = []
    for prompt in prompts:
        fields = msgspec.structs.asdict(prompt)
        told.append({name: value for name, value in fields.items() if name not in LEFT_OUT})
    if not told:
        return None
    text = msgspec.json.encode(told[0] if len(told) == 1 else told, enc_hook=str).decode()
    left = len(text) - MAX_CHARACTERS
    return text if left <= 0 else f"{text[:MAX_CHARACTERS]}… ({left} more characters)"
