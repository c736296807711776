"""Families whose calls are JSON objects with a name and arguments."""

from __future__ import annotations

import re
from collections.abc import Generator

from tricorn.chat.pieces import Steps
from tricorn.chat.reader import SPACE
from tricorn.chat.tools.parser import ToolParser

PYTHON_TAG = "<|python_tag|>"
TOOL_CALLS = "[TOOL_CALLS]"
_NAME = re.compile(r"[A-Za-z0-9_.-]+")


class MarkedParser(ToolParser):
    """JSON behind a marker: one call, several one after the other, or a list of them."""

    BEGIN = END = ""
    """END may be missing."""
    LISTED = False
    """Only a list is calls."""

    def run(self) -> Generator[None, None, None]:
        while marker := (yield from self.content_until(self.BEGIN)):
            at = yield from self.skip_space(self.at + len(marker))
            if (yield from self.follows("[", at)):
                inner = yield from self.skip_space(at + 1)
                called = yield from self.json_calls(inner, ",", "]")
            elif self.LISTED:
                called = False
            else:
                called = yield from self._objects(at)
            if not called:
                self.give_back(marker)
            elif self.END:
                yield from self.skip_past(self.END)

    def _objects(self, at: int) -> Steps:
        if not (yield from self.json_calls(at, ",", "")):
            return False
        # Some models forget an object's last bracket, or write one too many.
        yield from self.skip_past("}")
        while (yield from self.json_call((yield from self.skip_space(0)))):
            yield from self.skip_past("}")
        return True


class HermesParser(MarkedParser):
    """`<tool_call>{"name": …, "arguments": …}</tool_call>`, as often as wanted."""

    BEGIN, END = "<tool_call>", "</tool_call>"


class GraniteParser(MarkedParser):
    """`<|tool_call|>[{"name": …, "arguments": …}, …]`; Phi-4 mini's too, which may write one call
    without a list, and an end mark."""

    BEGIN, END = "<|tool_call|>", "<|/tool_call|>"


class FunctoolsParser(MarkedParser):
    """`functools[{"name": …, "arguments": …}, …]`, of Phi-4 mini."""

    BEGIN = "functools"
    LISTED = True


class ToolCallsParser(MarkedParser):
    """`<tool_calls>`, and in it one call a line (MiniMax M1) or a list of them (Hunyuan)."""

    BEGIN, END = "<tool_calls>", "</tool_calls>"


class InternParser(MarkedParser):
    """`<|action_start|><|plugin|>{"name": …, "parameters": …}<|action_end|>`"""

    BEGIN, END = "<|action_start|><|plugin|>", "<|action_end|>"


class CohereParser(MarkedParser):
    """`<|START_ACTION|>[{"tool_call_id": "0", "tool_name": …, "parameters": …}]<|END_ACTION|>`"""

    BEGIN, END = "<|START_ACTION|>", "<|END_ACTION|>"
    NAME_KEYS = ("tool_name", "name")


class LlamaParser(ToolParser):
    """`{"name": …, "parameters": …}` instead of an answer, several with semicolons between, or
    anywhere behind `<|python_tag|>`."""

    def run(self) -> Generator[None, None, None]:
        at = yield from self.skip_space(0)
        if not (yield from self.json_calls(at, ";,", "", known=True)) and self.buffer[:1] == "{":
            # Not to be looked at again.
            self.give(self.buffer[:1])
            self.drop(1)
        while marker := (yield from self.content_until(PYTHON_TAG)):
            at = yield from self.skip_space(self.at + len(marker))
            if not (yield from self.json_calls(at, ";,", "")):
                self.give_back(marker)


class MistralParser(ToolParser):
    """`[TOOL_CALLS] [{"name": …, "arguments": …}, …]`, and since Tekken's version 11
    `[TOOL_CALLS]name[ARGS]{…}` for each call."""

    def run(self) -> Generator[None, None, None]:
        while marker := (yield from self.content_until(TOOL_CALLS)):
            at = yield from self.skip_space(self.at + len(marker))
            if (yield from self.follows("[", at)):
                inner = yield from self.skip_space(at + 1)
                called = yield from self.json_calls(inner, ",", "]")
            elif (yield from self.follows("{", at)):
                called = yield from self.json_calls(at, ",", "")
            else:
                called = yield from self._named_call(at)
            if not called:
                self.give_back(marker)

    def _named_call(self, at: int) -> Steps:
        """`name[CALL_ID]id[ARGS]{…}`; what stands in brackets may be missing."""
        brace = yield from self.find("{", at)
        head = self.buffer[at : brace if brace >= 0 else None]
        name = _NAME.match(head)
        rest = head[name.end() :].strip(SPACE) if name else "?"
        if brace < 0 or name is None or (rest and not rest.startswith("[")):
            return False
        self.begin_call(name[0])
        self.drop(brace)
        yield from self.json_arguments()
        return True


class SectionParser(ToolParser):
    """Calls in control tokens: FIRST (BEGIN head NAMED arguments END)* LAST."""

    FIRST = LAST = BEGIN = NAMED = END = ""

    def run(self) -> Generator[None, None, None]:
        while marker := (yield from self.content_until(self.FIRST, self.BEGIN)):
            before = self.calls
            if marker == self.FIRST:
                at = yield from self.skip_space(self.at + len(marker))
                called = yield from self._call(at)
            else:
                called = yield from self._call(self.at)
            while called:
                called = yield from self._call((yield from self.skip_space(0)))
            if self.calls == before:
                self.give_back(marker)
            else:
                yield from self.skip_past(self.LAST)

    def _call(self, at: int) -> Steps:
        if not (yield from self.follows(self.BEGIN, at)):
            return False
        at += len(self.BEGIN)
        named = yield from self.find(self.NAMED, at)
        if named < 0:
            return False
        head = self.buffer[at:named].strip(SPACE)
        at = named + len(self.NAMED)
        brace = yield from self.find("{", at)
        if brace < 0:
            return False
        self.begin_call(self.name_of(head, self.buffer[at:brace]))
        self.drop(brace)
        yield from self.json_arguments()
        yield from self.skip_past("```")
        yield from self.skip_past(self.END)
        return True

    def name_of(self, head: str, rest: str) -> str:
        """rest: what stands before the arguments."""
        return head


class DeepSeekParser(SectionParser):
    """V3 and R1 name the type and fence the arguments, V3.1 has the name and the arguments
    alone."""

    FIRST, LAST = "<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>"
    BEGIN, NAMED, END = "<｜tool▁call▁begin｜>", "<｜tool▁sep｜>", "<｜tool▁call▁end｜>"

    def name_of(self, head: str, rest: str) -> str:
        return rest.partition("\n")[0].strip(SPACE) if head == "function" else head


class KimiParser(SectionParser):
    """K2 names a call by its id, `functions.name:0`."""

    FIRST, LAST = "<|tool_calls_section_begin|>", "<|tool_calls_section_end|>"
    BEGIN, END = "<|tool_call_begin|>", "<|tool_call_end|>"
    NAMED = "<|tool_call_argument_begin|>"

    def name_of(self, head: str, rest: str) -> str:
        name = head.removeprefix("functions.")
        return name.rpartition(":")[0] or name
