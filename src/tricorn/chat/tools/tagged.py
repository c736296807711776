"""Families that put every argument into a tag of its own: Qwen3-Coder and GLM."""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Mapping
from typing import Any

from tricorn.chat.pieces import Steps
from tricorn.chat.reader import SPACE
from tricorn.chat.tools.parser import ToolParser

_NAME = re.compile(r"[A-Za-z0-9_.-]+\Z")


class _TaggedParser(ToolParser):
    """Gives out each argument when it is complete."""

    _any = False
    """The call has an argument already."""

    def begin_object(self, name: str) -> None:
        self.begin_call(name)
        self._name, self._any = name, False

    def add_argument(self, key: str, value: str) -> None:
        schema = self.parameters.get(self._name, {}).get("properties", {}).get(key)
        text = f"{json.dumps(key, ensure_ascii=False)}: {_json(value, schema)}"
        self.add_arguments((", " if self._any else "{") + text)
        self._any = True

    def end_object(self) -> None:
        if not (self.ended and self.cut):
            self.add_arguments("}" if self._any else "{}")


class QwenCoderParser(_TaggedParser):
    """`<tool_call><function=name><parameter=key>value</parameter></function></tool_call>`"""

    BEGIN, END = "<tool_call>", "</tool_call>"
    FUNCTION, FUNCTION_END = "<function=", "</function>"
    PARAMETER, PARAMETER_END = "<parameter=", "</parameter>"

    def run(self) -> Generator[None, None, None]:
        # Some models leave the outer tag out.
        while marker := (yield from self.content_until(self.BEGIN, self.FUNCTION)):
            at = self.at
            if marker == self.BEGIN:
                at = yield from self.skip_space(at + len(marker))
            if (yield from self._call(at)):
                yield from self.skip_past(self.END)
            else:
                self.give_back(marker)

    def _call(self, at: int) -> Steps:
        if not (yield from self.follows(self.FUNCTION, at)):
            return False
        at += len(self.FUNCTION)
        end = yield from self.find(">", at)
        name = self.buffer[at:end].strip(SPACE)
        if end < 0 or not _NAME.match(name):
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
        # One line end on either side belongs to the tags.
        value = self.buffer[key_end + 1 : end].removeprefix("\n").removesuffix("\n")
        self.add_argument(self.buffer[:key_end].strip(SPACE), value)
        self.drop(end + len(self.PARAMETER_END))
        return True


class GlmParser(_TaggedParser):
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
        if end < 0 or not _NAME.match(name):
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


def _json(value: str, schema: Any) -> str:
    """An argument's text as JSON: what its schema calls a string is one, the rest is JSON already
    or is made a string."""
    kinds = schema.get("type") if isinstance(schema, Mapping) else None
    texts = isinstance(schema, Mapping) and (
        kinds == "string" or all(isinstance(item, str) for item in schema.get("enum") or [0])
    )
    if not texts:
        for text in (value, {"True": "true", "False": "false", "None": "null"}.get(value.strip())):
            try:
                return json.dumps(json.loads(text or ""), ensure_ascii=False)
            except ValueError:
                continue
    return json.dumps(value, ensure_ascii=False)
