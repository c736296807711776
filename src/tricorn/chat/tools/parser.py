"""The base of tool call parsers: what they know of the tools, and how JSON calls are read."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any

from tricorn.chat.pieces import CallPart, Steps
from tricorn.chat.reader import Reader
from tricorn.chat.tools.json_text import ValueEnd, sendable

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_ARGUMENT_KEYS = ("arguments", "parameters")


class ToolParser(Reader):
    """tools: those of the request, in OpenAI's shape."""

    NAME_KEYS: tuple[str, ...] = ("name", "function")
    """What JSON calls the tool's name."""

    def __init__(self, tools: Sequence[Mapping[str, Any]]) -> None:
        self.parameters: dict[str, Mapping[str, Any]] = {
            tool["function"]["name"]: tool["function"].get("parameters") or {} for tool in tools
        }
        """Tool → the JSON schema of its arguments."""
        self.calls = 0
        super().__init__()

    def begin_call(self, name: str, arguments: str = "") -> None:
        self.pieces.append(CallPart(self.calls, name, arguments))
        self.calls += 1
        self.after_markup = True

    def add_arguments(self, text: str) -> None:
        if text:
            self.pieces.append(CallPart(self.calls - 1, None, text))

    # --- JSON ----------------------------------------------------------------------------------

    def json_call(self, at: int, *, known: bool = False) -> Steps:
        """Read `{"name": …, "arguments": …}` at `at`, and drop it with all before it.

        False, with nothing dropped, where there is no call. known: only a tool of the request with
        arguments is one; for formats without markup, where it may be an answer in JSON.
        """
        if not (yield from self.follows("{", at)):
            return False
        name: str | None = None
        early = ""
        """Arguments that came before the name."""
        begun = False
        at += 1
        while True:
            at = yield from self.skip_space(at)
            if not (yield from self.has(at + 1)):
                return begun
            if self.buffer[at] == "}":
                break
            if self.buffer[at] == ",":
                at += 1
                continue
            end = yield from self.string_end(at)
            key = _decoded(self.buffer[at:end]) if end > 0 else None
            at = yield from self.skip_space(end)
            if key is None or not (yield from self.follows(":", at)):
                return begun
            at = yield from self.skip_space(at + 1)
            if not begun and name is not None and key in _ARGUMENT_KEYS:
                if known and not (yield from self.follows("{", at)):
                    return False
                self.begin_call(name)
                begun = True
                self.drop(at)
                yield from self.json_arguments()
                at = 0
                continue
            end = yield from self._value_end(at)
            if end < 0:
                return begun
            value = self.buffer[at:end]
            at = end
            if key in self.NAME_KEYS and name is None:
                name = _decoded(value)
                if not name or (known and name not in self.parameters):
                    return False
            elif key in _ARGUMENT_KEYS and name is None:
                early = value
        if not begun:
            if name is None or (known and not early):
                return False
            self.begin_call(name, _as_object(early) if early else "{}")
        self.drop(at + 1)
        return True

    def json_arguments(self) -> Generator[None, None, None]:
        """Give out the JSON value at the buffer's beginning as the last call's arguments: an
        object as it comes, anything else at its end."""
        if not (yield from self.follows("{", 0)):
            end = yield from self._value_end(0)
            if end >= 0:
                self.add_arguments(_as_object(self.buffer[:end]))
                self.drop(end)
            return
        scan = ValueEnd()
        while (end := scan.feed(self.buffer)) < 0:
            self.add_arguments(self.buffer)
            self.buffer = ""
            if self.ended:
                return
            yield
        self.add_arguments(self.buffer[:end])
        self.drop(end)

    def json_calls(self, at: int, separators: str, last: str, *, known: bool = False) -> Steps:
        """One call after the other, with `separators` between; `last` ends them."""
        if not (yield from self.json_call(at, known=known)):
            return False
        while True:
            at = yield from self.skip_space(0)
            if last and (yield from self.follows(last, at)):
                self.drop(at + len(last))
                return True
            if not (yield from self.has(at + 1)) or self.buffer[at] not in separators:
                return True
            at = yield from self.skip_space(at + 1)
            if not (yield from self.json_call(at, known=known)):
                if self.ended and self.cut:
                    self.buffer = ""
                return True

    def string_end(self, at: int) -> Generator[None, None, int]:
        """The index after the string at `at`; -1 where there is none."""
        if not (yield from self.follows('"', at)):
            return -1
        while (found := _STRING.match(self.buffer, at)) is None:
            if self.ended:
                return -1
            yield
        return found.end()

    def _value_end(self, at: int) -> Generator[None, None, int]:
        scan = ValueEnd()
        while (end := scan.feed(self.buffer, at)) < 0:
            if self.ended:
                return -1
            at = len(self.buffer)
            yield
        return end


Maker = Callable[[Sequence[Mapping[str, Any]]], ToolParser]


def _decoded(text: str) -> str | None:
    """The string that JSON text says, if that can be sent."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, str) and sendable(value) else None


def _as_object(text: str) -> str:
    """Arguments as the text of an object, where a model put them into a string or left them out."""
    inner = _decoded(text)
    if inner is not None:
        return inner if inner.strip() else "{}"
    return "{}" if text == "null" else text
