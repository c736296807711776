"""The `message` object: what a whole answer and a stream of one have in common."""

from __future__ import annotations

import base64
import hashlib
import secrets
import string
from typing import Any

import orjson

from tricorn.chat.anthropic.tool_input import ToolInput
from tricorn.chat.choice import Told, ToolUse
from tricorn.chat.pieces import CallPart, Content, Thought
from tricorn.chat.response import Head, Tally, WholeBuilder
from tricorn.chat.single_answer import SingleAnswer
from tricorn.engines.request import TokenDelta

_ALPHABET = string.ascii_letters + string.digits


def new_tool_id() -> str:
    """`toolu_…`"""
    return "toolu_" + "".join(secrets.choice(_ALPHABET) for _ in range(24))


def signature(thought: str) -> str:
    """Clients want a thought signed, and drop one that is not when they send it back."""
    return base64.b64encode(hashlib.sha256(thought.encode()).digest()).decode()


def usage(tally: Tally) -> dict[str, Any]:
    """Prompt tokens that were found in the prefix cache are counted apart from the others."""
    return {
        "input_tokens": tally.prompt_tokens - tally.cached_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": tally.cached_tokens,
        "output_tokens": tally.completion_tokens,
        "output_tokens_details": {"thinking_tokens": tally.reasoning_tokens},
    }


def message(head: Head, tally: Tally, content: list[Any], stop: dict[str, Any]) -> dict[str, Any]:
    """stop: `stop_reason` and `stop_sequence`."""
    return {
        "id": head.id.replace("-", "_", 1),
        "type": "message",
        "role": "assistant",
        "model": head.model,
        "content": content,
        **stop,
        "usage": {**usage(tally), "service_tier": "standard"},
    }


def stop(told: Told, delta: TokenDelta, tally: Tally, max_tokens: int) -> dict[str, Any]:
    """Why the answer ended, of the delta that ended it."""
    sequence = delta.stop_reason if isinstance(delta.stop_reason, str) else None
    if told.finish_reason == "tool_calls":
        reason = "tool_use"
    elif told.finish_reason == "length":
        full = tally.completion_tokens < max_tokens
        reason = "model_context_window_exceeded" if full else "max_tokens"
    else:
        reason = "end_turn" if sequence is None else "stop_sequence"
    return {"stop_reason": reason, "stop_sequence": sequence}


class Message(SingleAnswer, WholeBuilder):
    """show_thoughts: else they are there with their signature alone."""

    def __init__(
        self,
        head: Head,
        *,
        max_tokens: int,
        show_thoughts: bool = True,
        use: ToolUse = ToolUse(),  # noqa: B008 - it never changes
    ) -> None:
        super().__init__(head, use)
        self._max_tokens = max_tokens
        self._show_thoughts = show_thoughts
        self._blocks: list[_Block] = []
        self._stop: dict[str, Any] = {"stop_reason": None, "stop_sequence": None}

    def told(self, told: Told, delta: TokenDelta) -> list[bytes]:
        for piece in told.pieces:
            match piece:
                case Content(text):
                    self._block("text").texts.append(text)
                case Thought(text):
                    self._block("thinking").texts.append(text)
                case CallPart(_, str(name), arguments):
                    self._blocks.append(_Block("tool_use", name))
                    self._blocks[-1].texts.append(arguments)
                case CallPart(_, None, arguments):
                    self._blocks[-1].texts.append(arguments)
        if told.finish_reason is not None:
            self._stop = stop(told, delta, self.tally, self._max_tokens)
        return []

    def _block(self, kind: str) -> _Block:
        if not self._blocks or self._blocks[-1].kind != kind:
            self._blocks.append(_Block(kind))
        return self._blocks[-1]

    def result(self) -> dict[str, Any]:
        # Clients look into the first block without asking whether there is one.
        blocks = self._blocks or [_Block("text")]
        content = [block.shown(self._show_thoughts) for block in blocks]
        return message(self.head, self.tally, content, self._stop)


class _Block:
    def __init__(self, kind: str, name: str = "") -> None:
        self.kind = kind
        self.name = name
        self.texts: list[str] = []

    def shown(self, show_thoughts: bool) -> dict[str, Any]:
        text = "".join(self.texts)
        if self.kind == "thinking":
            shown = text if show_thoughts else ""
            return {"type": "thinking", "thinking": shown, "signature": signature(text)}
        if self.kind == "text":
            return {"type": "text", "text": text, "citations": None}
        arguments = ToolInput()
        given = arguments.feed(text) + arguments.close()
        return {
            "type": "tool_use",
            "id": new_tool_id(),
            "name": self.name,
            "input": orjson.Fragment(given),
        }
