"""Families that put every argument into a tag of its own: Qwen3-Coder, GLM and their relatives."""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Mapping
from typing import Any

from tricorn.chat.pieces import Steps
from tricorn.chat.reader import SPACE
from tricorn.chat.tools.json_text import written
from tricorn.chat.tools.parser import ToolParser

NAME = re.compile(r"[A-Za-z0-9_.-]+\Z")
_STRING_MARK = re.compile(r'\sstring="(true|false)"')


class ArgumentsParser(ToolParser):
    """Gives out each argument when it is complete."""

    _any = False
    """The call has an argument already."""

    def begin_object(self, name: str) -> None:
        self.begin_call(name)
        self._name, self._any = name, False

    def add_argument(self, key: str, value: str) -> None:
        """value: as it stands in the text."""
        self.add_member(key, as_json(value, self.schema_of(key)))

    def schema_of(self, key: str) -> Mapping[str, Any]:
        """Of an argument; empty where nothing is known."""
        schema = (self.parameters.get(self._name, {}).get("properties") or {}).get(key)
        return schema if isinstance(schema, Mapping) else {}

    def add_member(self, key: str, value: str) -> None:
        """value: JSON."""
        text = f"{written(key)}: {value}"
        self.add_arguments((", " if self._any else "{") + text)
        self._any = True

    def end_object(self) -> None:
        if not (self.ended and self.cut):
            self.add_arguments("}" if self._any else "{}")


class FunctionTagsParser(ArgumentsParser):
    """Calls in tags of their own, within an outer one."""

    BEGIN = END = FUNCTION = FUNCTION_END = PARAMETER = PARAMETER_END = ""
    BARE = False
    """A call may do without the outer tag."""
    LINES = False
    """One line end on either side of a value belongs to the tags."""

    def run(self) -> Generator[None, None, None]:
        begins = (self.BEGIN, self.FUNCTION) if self.BARE else (self.BEGIN,)
        while marker := (yield from self.content_until(*begins)):
            at = self.at
            if marker == self.BEGIN:
                at = yield from self.skip_space(at + len(marker))
            if not (yield from self._call(at)):
                self.give_back(marker)
                continue
            while (yield from self._call((yield from self.skip_space(0)))):
                pass
            yield from self.skip_past(self.END)

    def _call(self, at: int) -> Steps:
        if not (yield from self.follows(self.FUNCTION, at)):
            return False
        at += len(self.FUNCTION)
        end = yield from self.find(">", at)
        name = _unquoted(self.buffer[at:end])
        if end < 0 or not NAME.match(name):
            return False
        self.begin_object(name)
        self.drop(end + 1)
        while (yield from self._argument()):
            pass
        if (yield from self.skip_past(self.FUNCTION_END)) or not self.cut:
            self.end_object()
        return True

    def _argument(self) -> Steps:
        if not (yield from self.skip_past(self.PARAMETER)):
            return False
        key_end = yield from self.find(">", 0)
        end = yield from self.find(self.PARAMETER_END, key_end + 1)
        if key_end < 0 or (end < 0 and self.cut):
            self.buffer = ""
            return False
        if end < 0:
            # Forgotten; nothing else can end the argument but the call's own end.
            end = self.buffer.find(self.FUNCTION_END, key_end)
            end = end if end >= 0 else len(self.buffer)
            self.buffer = self.buffer[:end] + self.PARAMETER_END + self.buffer[end:]
        value = self.buffer[key_end + 1 : end]
        if self.LINES:
            value = value.removeprefix("\n").removesuffix("\n")
        self.take(self.buffer[:key_end], value)
        self.drop(end + len(self.PARAMETER_END))
        return True

    def take(self, head: str, value: str) -> None:
        """An argument. head: what its tag says of it."""
        self.add_argument(_unquoted(head), value)


class QwenCoderParser(FunctionTagsParser):
    """`<tool_call><function=name><parameter=key>value</parameter></function></tool_call>`"""

    BEGIN, END = "<tool_call>", "</tool_call>"
    FUNCTION, FUNCTION_END = "<function=", "</function>"
    PARAMETER, PARAMETER_END = "<parameter=", "</parameter>"
    BARE = LINES = True


class SeedParser(QwenCoderParser):
    """The same in an outer tag of Seed's own, with values right between their tags."""

    BEGIN, END = "<seed:tool_call>", "</seed:tool_call>"
    LINES = False


class MinimaxParser(FunctionTagsParser):
    """M2's `<minimax:tool_call><invoke name="…"><parameter name="…">…`, with all calls of an answer
    in one outer tag."""

    BEGIN, END = "<minimax:tool_call>", "</minimax:tool_call>"
    FUNCTION, FUNCTION_END = "<invoke name=", "</invoke>"
    PARAMETER, PARAMETER_END = "<parameter name=", "</parameter>"


class DsmlParser(FunctionTagsParser):
    """DeepSeek V3.2's, like MiniMax's but that a tag says whether its value is a string."""

    BEGIN, END = "<｜DSML｜function_calls>", "</｜DSML｜function_calls>"
    FUNCTION, FUNCTION_END = "<｜DSML｜invoke name=", "</｜DSML｜invoke>"
    PARAMETER, PARAMETER_END = "<｜DSML｜parameter name=", "</｜DSML｜parameter>"

    def take(self, head: str, value: str) -> None:
        mark = _STRING_MARK.search(head)
        key = _unquoted(head[: mark.start()] if mark else head)
        if mark is not None and mark[1] == "true":
            self.add_member(key, written(value))
        elif mark is not None:
            self.add_member(key, as_json(value, {}))
        else:
            self.add_argument(key, value)


class Dsml4Parser(DsmlParser):
    """V4's, whose outer tag has another name."""

    BEGIN, END = "<｜DSML｜tool_calls>", "</｜DSML｜tool_calls>"


class GlmParser(ArgumentsParser):
    """`<tool_call>name<arg_key>key</arg_key><arg_value>value</arg_value></tool_call>`"""

    BEGIN, END = "<tool_call>", "</tool_call>"
    KEY, KEY_END = "<arg_key>", "</arg_key>"
    VALUE, VALUE_END = "<arg_value>", "</arg_value>"

    def run(self) -> Generator[None, None, None]:
        while marker := (yield from self.content_until(self.BEGIN)):
            if (yield from self._call(self.at + len(marker))):
                yield from self.skip_past(self.END)
            else:
                self.give_back(marker)

    def _call(self, at: int) -> Steps:
        end = yield from self.find("<", at)
        name = self.buffer[at:end].strip(SPACE)
        if end < 0 or not NAME.match(name):
            return False
        empty = yield from self.follows(self.END, end)
        if not empty and not (yield from self.follows(self.KEY, end)):
            return False
        self.begin_object(name)
        self.drop(end)
        while (yield from self._argument()):
            pass
        self.end_object()
        return True

    def _argument(self) -> Steps:
        if not (yield from self.skip_past(self.KEY)):
            return False
        key_end = yield from self.find(self.KEY_END, 0)
        begin = yield from self.find(self.VALUE, key_end + len(self.KEY_END))
        end = yield from self.find(self.VALUE_END, begin + len(self.VALUE))
        if min(key_end, begin, end) < 0:
            self.buffer = ""
            return False
        value = self.buffer[begin + len(self.VALUE) : end]
        self.add_argument(self.buffer[:key_end].strip(SPACE), value)
        self.drop(end + len(self.VALUE_END))
        return True


def _unquoted(text: str) -> str:
    return text.strip(SPACE).strip("\"'")


def as_json(value: str, schema: Mapping[str, Any]) -> str:
    """An argument's text as JSON: what its schema calls a string is one, the rest is JSON already
    or is made a string."""
    texts = schema.get("type") == "string" or all(
        isinstance(item, str) for item in schema.get("enum") or [0]
    )
    if not texts:
        for text in (value, {"True": "true", "False": "false", "None": "null"}.get(value.strip())):
            try:
                return written(json.loads(text or ""))
            except (ValueError, RecursionError):
                continue
    return written(value)
