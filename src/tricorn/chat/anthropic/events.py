"""The events of a streamed `message`: a start, blocks one after the other, how it ended, a stop."""

from __future__ import annotations

from typing import Any

import orjson

from tricorn.chat.anthropic.message import message, new_tool_id, signature, stop, usage
from tricorn.chat.anthropic.tool_input import ToolInput
from tricorn.chat.choice import Told, ToolUse
from tricorn.chat.pieces import CallPart, Content, Piece, Thought
from tricorn.chat.response import Head
from tricorn.chat.single_answer import SingleAnswer
from tricorn.engines.request import TokenDelta

_DELTAS = {
    # Kind of block → type of its deltas and their field.
    "text": b'"text_delta","text":',
    "thinking": b'"thinking_delta","thinking":',
    "tool_use": b'"input_json_delta","partial_json":',
}


class MessageEvents(SingleAnswer):
    """Each event begins with its type, as {"type":"…". Arguments as in `Message`."""

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
        self._begun = False
        self._index = -1
        self._kind: str | None = None
        """Of the block that is open."""
        self._thought: list[str] = []
        self._input = ToolInput()
        self._opening = b""
        """What the open block's deltas begin with."""

    def told(self, told: Told, delta: TokenDelta) -> list[bytes]:
        events: list[bytes] = []
        if not self._begun:
            # Not sooner: only now is known how much of the prompt was in the cache.
            self._begun = True
            unknown = {"stop_reason": None, "stop_sequence": None}
            # Tokens are counted at the end.
            begun = message(self.head, self.tally, [], unknown)
            begun["usage"]["output_tokens"] = 0
            events.append(orjson.dumps({"type": "message_start", "message": begun}))
        for piece in told.pieces:
            events += self._grown(piece)
        if told.finish_reason is not None:
            if self._index < 0:
                events += self._open({"type": "text", "text": "", "citations": None})
            events += self._close()
            ended = stop(told, delta, self.tally, self._max_tokens)
            events.append(
                orjson.dumps({"type": "message_delta", "delta": ended, "usage": usage(self.tally)})
            )
        return events

    def end(self) -> list[bytes]:
        return [b'{"type":"message_stop"}']

    def _grown(self, piece: Piece) -> list[bytes]:
        match piece:
            case Content(text):
                begun = [] if self._kind == "text" else self._open({"type": "text", "text": ""})
                return [*begun, self._delta(text)]
            case Thought(text):
                begun = []
                if self._kind != "thinking":
                    begun = self._open({"type": "thinking", "thinking": "", "signature": ""})
                self._thought.append(text)
                return [*begun, self._delta(text)] if self._show_thoughts else begun
            case CallPart(_, name, arguments):
                begun = []
                if name is not None:
                    block = {"type": "tool_use", "id": new_tool_id(), "name": name, "input": {}}
                    begun = self._open(block)
                given = self._input.feed(arguments)
                return [*begun, self._delta(given)] if given else begun

    def _open(self, block: dict[str, Any]) -> list[bytes]:
        events = self._close()
        self._index += 1
        self._kind = str(block["type"])
        self._thought = []
        self._input = ToolInput()
        self._opening = b'{"type":"content_block_delta","index":%d,"delta":{"type":' % self._index
        begun = {"type": "content_block_start", "index": self._index, "content_block": block}
        return [*events, orjson.dumps(begun)]

    def _delta(self, text: str) -> bytes:
        assert self._kind is not None
        return self._opening + _DELTAS[self._kind] + orjson.dumps(text) + b"}}"

    def _close(self) -> list[bytes]:
        events: list[bytes] = []
        if self._kind is None:
            return events
        if self._kind == "thinking":
            signed = orjson.dumps(signature("".join(self._thought)))
            signed = b'"signature_delta","signature":' + signed
            events.append(self._opening + signed + b"}}")
        elif self._kind == "tool_use" and (missing := self._input.close()):
            events.append(self._delta(missing))
        self._kind = None
        events.append(b'{"type":"content_block_stop","index":%d}' % self._index)
        return events
