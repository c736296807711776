"""Calls as Python writes them: `[f(a=1, b="x"), g()]`, of Llama 3.2 and 4."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Generator
from typing import Any

from tricorn.chat.pieces import Steps
from tricorn.chat.tools.json_text import written
from tricorn.chat.tools.parser import ToolParser

START, END = "<|python_start|>", "<|python_end|>"
_CALL = re.compile(r"([A-Za-z_][\w.-]*)\(")
_KEY = re.compile(r"\s*([^\s=,()\[\]{}\"']+)\s*=(?!=)")
_CONSTANTS = {"true": True, "false": False, "null": None}


class PythonicParser(ToolParser):
    """Only a tool of the request makes it a call; a call is given out when it is complete."""

    def run(self) -> Generator[None, None, None]:
        at = yield from self.skip_space(0)
        if (yield from self.follows(START, at)):
            self.at = at
            if not (yield from self._calls(at + len(START))):
                self.give_back(START)
            yield from self.skip_past(END)
        elif not (yield from self._calls(at)):
            self.at = at
            yield from self.content_until()
            return
        yield from self.content_until(END)
        if self.buffer:
            self.drop(self.at + len(END))
        yield from self.content_until()

    def _calls(self, at: int) -> Steps:
        at = yield from self.skip_space(at)
        if not (yield from self.follows("[", at)):
            return False
        before = self.calls
        at += 1
        while True:
            at = yield from self.skip_space(at)
            end = yield from self._call(at)
            if end < 0:
                return self.calls > before
            self.drop(end)
            at = yield from self.skip_space(0)
            if not (yield from self.has(at + 1)) or self.buffer[at] != ",":
                break
            at += 1
        if (yield from self.follows("]", at)):
            self.drop(at + 1)
        return True

    def _call(self, at: int) -> Generator[None, None, int]:
        """Give out the call at `at`; the index after it, -1 where there is none."""
        opening = yield from self.find("(", at)
        found = _CALL.match(self.buffer, at)
        if opening < 0 or found is None or found[1] not in self.parameters:
            return -1
        end = yield from self._closing(opening)
        if end < 0:
            return -1
        arguments = _arguments(self.buffer[opening + 1 : end - 1])
        if arguments is None:
            return -1
        self.begin_call(found[1], arguments)
        return end

    def _closing(self, at: int) -> Generator[None, None, int]:
        """The index after the bracket that closes the one at `at`; -1 where it does not come."""
        depth, quote = 0, ""
        while True:
            if not (yield from self.has(at + 1)):
                return -1
            if quote:
                if self.buffer[at] == "\\":
                    at += 1
                elif self.buffer[at] == quote:
                    quote = ""
            elif (char := self.buffer[at]) in "\"'":
                quote = char
            elif char in "([{":
                depth += 1
            elif char in ")]}":
                depth -= 1
                if depth == 0:
                    return at + 1
            at += 1


def _arguments(text: str) -> str | None:
    """The JSON of keyword arguments whose values are literals; None where they are no such.

    A key is any name that JSON has, also one that is none in Python (`from`).
    """
    values: dict[str, Any] = {}
    at = 0
    try:
        while text[at:].strip():
            key = _KEY.match(text, at)
            if key is None:
                return None
            end = _comma(text, key.end())
            values[key[1]] = _parsed(text[key.end() : end].strip())
            at = end + 1
        json.dumps(values, allow_nan=False)
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        return None
    return written(values)


def _comma(text: str, at: int) -> int:
    """The index of the comma behind the value at `at`, or of the text's end."""
    depth, quote = 0, ""
    while at < len(text):
        char = text[at]
        if quote:
            if char == "\\":
                at += 1
            elif char == quote:
                quote = ""
        elif char in "\"'":
            quote = char
        elif char in "([{":
            depth += 1
        elif char in ")]}":
            depth -= 1
        elif char == "," and depth == 0:
            return at
        at += 1
    return len(text)


def _parsed(text: str) -> Any:
    try:
        # Escapes are not all the same in the two.
        return json.loads(text)
    except ValueError:
        return _value(ast.parse(text, mode="eval").body)


def _value(node: ast.expr) -> Any:
    """A literal; JSON's names for the constants too, inside of lists and objects as well."""
    match node:
        case ast.Name(id=name) if name in _CONSTANTS:
            return _CONSTANTS[name]
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return [_value(item) for item in items]
        case ast.Dict(keys=keys, values=values) if None not in keys:
            return {
                str(ast.literal_eval(key)): _value(value)
                for key, value in zip(keys, values, strict=True)
                if key is not None
            }
        case _:
            return ast.literal_eval(node)
