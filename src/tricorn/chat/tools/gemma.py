"""Gemma's calls: `call:name{key:value,…}`, with a token of its own around texts.

    Gemma 4        <|tool_call>call:f{city:<|"|>Oslo<|"|>,days:2}<tool_call|>
    FunctionGemma  <start_function_call>call:f{city:<escape>Oslo<escape>}<end_function_call>

Keys are bare; a text has no escapes. JSON is read as well, as the grammar writes it for lists and
objects.
"""

from __future__ import annotations

import json
import re
from collections.abc import Generator

from tricorn.chat.pieces import Steps
from tricorn.chat.reader import SPACE
from tricorn.chat.tools.json_text import written
from tricorn.chat.tools.tagged import NAME, ArgumentsParser, as_json

_CALL = "call:"
_BARE_END = re.compile(r"[,}\]]")
_DEEPEST = 50
"""Lists and objects within each other; deeper is no value."""

Value = Generator[None, None, tuple[str, int]]
"""Ends with a value's JSON and the index after it; -1 where there is none."""


class Gemma4Parser(ArgumentsParser):
    BEGIN, END, QUOTE = "<|tool_call>", "<tool_call|>", '<|"|>'

    def run(self) -> Generator[None, None, None]:
        while marker := (yield from self.content_until(self.BEGIN)):
            at = yield from self.skip_space(self.at + len(marker))
            if (yield from self._call(at)):
                yield from self.skip_past(self.END)
            else:
                self.give_back(marker)

    def _call(self, at: int) -> Steps:
        if not (yield from self.follows(_CALL, at)):
            return False
        at += len(_CALL)
        brace = yield from self.find("{", at)
        name = self.buffer[at:brace].strip(SPACE)
        if brace < 0 or not NAME.match(name):
            return False
        self.begin_object(name)
        self.drop(brace + 1)
        while (yield from self._argument()):
            pass
        if (yield from self.skip_past("}")) or not self.cut:
            self.end_object()
        return True

    def _argument(self) -> Steps:
        at = yield from self.skip_space(0)
        if (yield from self.follows(",", at)):
            at = yield from self.skip_space(at + 1)
        if not (yield from self.has(at + 1)) or self.buffer[at] == "}":
            self.drop(at)
            return False
        key, end = yield from self._key(at)
        bare = end
        if end >= 0:
            bare = yield from self.skip_space(end)
            value, end = yield from self._value(bare, 0)
        if end < 0:
            # Nothing that follows could be told from the call.
            self.buffer = ""
            return False
        if not value:
            self.add_argument(key, self.buffer[bare:end].strip(SPACE))
        elif value[0] == '"' and self._not_a_text(key):
            self.add_argument(key, json.loads(value))
        else:
            self.add_member(key, value)
        self.drop(end)
        return True

    def _not_a_text(self, key: str) -> bool:
        """Some models quote numbers too."""
        kinds = self.schema_of(key).get("type") or "string"
        return "string" not in kinds

    def _key(self, at: int) -> Value:
        """The key itself, not its JSON; the index is behind its colon."""
        for quote in (self.QUOTE, '"'):
            if (yield from self.follows(quote, at)):
                text, end = yield from self._text(at)
                end = -1 if end < 0 else (yield from self.skip_space(end))
                if end < 0 or not (yield from self.follows(":", end)):
                    return "", -1
                return str(json.loads(text)), end + 1
        end = yield from self.find(":", at)
        return self.buffer[at:end].strip(SPACE), end + 1 if end >= 0 else -1

    def _value(self, at: int, depth: int) -> Value:
        """Empty for what is neither quoted nor in brackets: that is what stands there."""
        for quote in (self.QUOTE, '"'):
            if (yield from self.follows(quote, at)):
                return (yield from self._text(at))
        if self.buffer[at : at + 1] in ("{", "["):
            return (yield from self._items(at, depth))
        while (found := _BARE_END.search(self.buffer, at)) is None:
            if self.ended:
                return "", -1
            yield
        return "", found.start()

    def _items(self, at: int, depth: int) -> Value:
        """What is in brackets."""
        opening = self.buffer[at]
        closing = "}" if opening == "{" else "]"
        parts: list[str] = []
        at += 1
        while depth < _DEEPEST:
            at = yield from self.skip_space(at)
            if not (yield from self.has(at + 1)):
                break
            if self.buffer[at] == closing:
                return opening + ", ".join(parts) + closing, at + 1
            if self.buffer[at] == ",":
                at += 1
                continue
            head = ""
            if opening == "{":
                key, at = yield from self._key(at)
                if at < 0:
                    break
                head = written(key) + ": "
                at = yield from self.skip_space(at)
            value, end = yield from self._value(at, depth + 1)
            if end < 0 or end == at:
                break
            parts.append(head + (value or as_json(self.buffer[at:end].strip(SPACE), {})))
            at = end
        return "", -1

    def _text(self, at: int) -> Value:
        if (yield from self.follows(self.QUOTE, at)):
            at += len(self.QUOTE)
            end = yield from self.find(self.QUOTE, at)
            text = written(self.buffer[at:end])
            return text, end + len(self.QUOTE) if end >= 0 else -1
        end = yield from self.string_end(at)
        return as_json(self.buffer[at:end], {}), end


class FunctionGemmaParser(Gemma4Parser):
    BEGIN, END = "<start_function_call>", "<end_function_call>"
    QUOTE = "<escape>"
