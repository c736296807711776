"""gpt-oss' messages: thoughts, calls and answers each in a channel of their own.

<|channel|>analysis<|message|>…<|end|><|start|>assistant<|channel|>commentary to=functions.f
<|constrain|>json<|message|>{…}<|call|>        or        <|channel|>final<|message|>…<|return|>

The recipient may also stand in front of the channel.
"""

from __future__ import annotations

import re
from collections.abc import Generator

from tricorn.chat.pieces import Content, Piece, Steps, Thought
from tricorn.chat.reader import overlap
from tricorn.chat.tools.parser import ToolParser

START, CHANNEL, MESSAGE, CONSTRAIN = "<|start|>", "<|channel|>", "<|message|>", "<|constrain|>"
ENDS = ("<|end|>", "<|call|>", "<|return|>", START, CHANNEL)
MARKERS = (START, CHANNEL, MESSAGE, CONSTRAIN, *ENDS[:3])
RECIPIENT = " to=functions."
_RECIPIENT = re.compile(r"to=functions\.([A-Za-z0-9_.-]+)")


class HarmonyParser(ToolParser):
    """Reads thoughts too."""

    def run(self) -> Generator[None, None, None]:
        while (yield from self.has(1)):
            if (yield from self._head_follows()):
                yield from self._message()
            elif (yield from self._skip_end()):
                continue
            else:
                # Without a channel it is the answer.
                yield from self._body(Content)

    def _head_follows(self) -> Steps:
        for begin in (START, CHANNEL, RECIPIENT):
            if (yield from self.follows(begin, 0)):
                return True
        return False

    def _skip_end(self) -> Steps:
        for end in ENDS[:3]:
            if (yield from self.follows(end, 0)):
                self.drop(len(end))
                return True
        return False

    def _message(self) -> Generator[None, None, None]:
        begin = yield from self.find(MESSAGE, 0)
        if begin < 0:
            # A head alone says nothing, if it is one.
            if not self.cut:
                self.give(self.buffer)
            self.buffer = ""
            return
        head = self.buffer[:begin]
        self.drop(begin + len(MESSAGE))
        called = _RECIPIENT.search(head)
        if called is not None:
            self.begin_call(called[1])
            yield from self.json_arguments()
            yield from self._body(None)
            return
        self.thinking = f"{CHANNEL}analysis" in head
        yield from self._body(Thought if self.thinking else Content)
        self.thinking = False

    def _body(self, kind: type[Content] | type[Thought] | None) -> Generator[None, None, None]:
        """Give out a message's text, up to its end; kind: None drops it."""
        while True:
            found = [at for end in ENDS if (at := self.buffer.find(end)) >= 0]
            upto = min(found) if found else len(self.buffer)
            if not found and not self.ended:
                upto -= max(overlap(self.buffer, end) for end in ENDS)
            text = self.buffer[:upto]
            if text and kind is not None:
                piece: Piece = kind(text)
                self.pieces.append(piece)
            self.drop(upto)
            if found or self.ended:
                return
            yield
