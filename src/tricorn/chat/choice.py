"""One choice of a chat answer, read as it grows: what to show of each delta."""

from __future__ import annotations

import secrets
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tricorn.chat.answer_reader import AnswerReader
from tricorn.chat.pieces import CallPart, Content, Piece, Reading
from tricorn.engines.request import TokenDelta, TokenLogprob

_ALPHABET = string.ascii_letters + string.digits


@dataclass(frozen=True)
class ToolUse:
    """What a request said of tools, as far as its answer depends on it."""

    tools: Sequence[Mapping[str, Any]] = ()
    """In OpenAI's shape."""
    legacy: bool = False
    """They came as `functions`, so that a call goes back as `function_call`."""


@dataclass
class Told:
    """What one delta adds to a choice."""

    pieces: list[Piece]
    reasoning_tokens: int = 0
    logprobs: list[TokenLogprob] = field(default_factory=list)
    """Of the content's tokens; those of markup and thoughts are not shown."""
    finish_reason: str | None = None


class ChoiceReader:
    def __init__(self, reading: Reading, use: ToolUse) -> None:
        self._reader = AnswerReader(reading, use.tools)
        self._legacy = use.legacy
        self._called = False
        self._held: list[TokenLogprob] = []

    def read(self, delta: TokenDelta) -> Told:
        reader = self._reader
        thinking = reader.thinking
        pieces = reader.feed(delta.text) if delta.text else []
        if delta.finish_reason is not None:
            cut = delta.finish_reason == "length" or delta.stop_reason is not None
            pieces = pieces + reader.finish(cut=cut)
        told = Told(pieces)
        if thinking or reader.thinking:
            told.reasoning_tokens = len(delta.token_ids)
        self._called = self._called or any(isinstance(piece, CallPart) for piece in pieces)
        told.finish_reason = self._finish_reason(delta)
        if thinking:
            self._held = []
        if delta.logprobs:
            self._held += delta.logprobs
        speaks = any(isinstance(piece, Content) for piece in pieces)
        if speaks:
            told.logprobs = self._held
        if pieces or thinking:
            self._held = []
        return told

    def _finish_reason(self, delta: TokenDelta) -> str | None:
        # An answer that a limit or a stop string has ended may have half a call.
        if self._called and delta.finish_reason == "stop" and delta.stop_reason is None:
            return "function_call" if self._legacy else "tool_calls"
        return delta.finish_reason


def new_call_id() -> str:
    """`call_…`, as long as OpenAI's."""
    return "call_" + "".join(secrets.choice(_ALPHABET) for _ in range(24))
