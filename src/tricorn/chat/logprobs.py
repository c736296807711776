"""Log probabilities in the two shapes that OpenAI's answers have."""

from __future__ import annotations

import codecs
from typing import Any

from tricorn.engines.request import TokenLogprob

FLOOR = -9999.0
"""What OpenAI shows for a token that cannot come: JSON has no minus infinity."""


def chat_logprobs(entries: list[TokenLogprob]) -> list[dict[str, Any]]:
    """`choices[].logprobs.content`. Tokens without bytes (end of text) are not shown."""
    return [
        {**_chat_token(entry), "top_logprobs": [_chat_token(top) for top in entry.top]}
        for entry in entries
        if entry.token
    ]


class LegacyLogprobs:
    """`choices[].logprobs` of completions, built up as the tokens of one choice arrive.

    offset: characters that stand before them. every_token: show tokens without bytes too, so that
        there are as many as `usage` counts.
    """

    def __init__(self, *, offset: int = 0, every_token: bool = False) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._offset = offset
        self._every_token = every_token

    def add(self, entries: list[TokenLogprob]) -> dict[str, Any]:
        """The object for these tokens; its offsets count characters from the choice's start."""
        tokens: list[str] = []
        values: list[float] = []
        tops: list[dict[str, float]] = []
        offsets: list[int] = []
        for entry in entries:
            if not entry.token and not self._every_token:
                continue
            tokens.append(token_text(entry.token, "bytes:"))
            values.append(finite(entry.logprob))
            offsets.append(self._offset)
            self._offset += len(self._decoder.decode(entry.token))
            tops.append(legacy_top(entry, len(entry.top)))
        return {
            "tokens": tokens,
            "token_logprobs": values,
            "top_logprobs": tops,
            "text_offset": offsets,
        }


def legacy_top(entry: TokenLogprob, count: int) -> dict[str, float]:
    """The likeliest tokens and the chosen one, by their texts; of two that look alike, the likelier
    one."""
    top: dict[str, float] = {}
    for other in (*entry.top[:count], entry):
        top.setdefault(token_text(other.token, "bytes:"), finite(other.logprob))
    return top


def merge_legacy(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """One object of many, in order."""
    merged: dict[str, Any] = {
        "tokens": [],
        "token_logprobs": [],
        "top_logprobs": [],
        "text_offset": [],
    }
    for part in parts:
        for name, values in merged.items():
            values.extend(part[name])
    return merged


def token_text(token: bytes, escape_prefix: str = "") -> str:
    """The token as text; a part of a character as its bytes, written out as OpenAI does."""
    try:
        return token.decode()
    except UnicodeDecodeError:
        return escape_prefix + "".join(f"\\x{byte:02x}" for byte in token)


def _chat_token(entry: TokenLogprob) -> dict[str, Any]:
    return {
        "token": token_text(entry.token),
        "logprob": finite(entry.logprob),
        "bytes": list(entry.token),
    }


def finite(logprob: float) -> float:
    """As it can be written in JSON."""
    # NaN compares false with everything, and so becomes the floor too.
    return logprob if logprob > FLOOR else FLOOR
