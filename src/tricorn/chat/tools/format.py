"""What a format of tool calls is."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from tricorn.chat.tools.parser import Maker
from tricorn.engines.request import CallMarks

NAME, ARGUMENTS, NUMBER = "\x00name\x00", "\x00arguments\x00", "\x00number\x00"
"""In `Format.call`: where the tool's name, the call's arguments and, counted from 0, which call it
is are written."""

Notation = Literal[
    "json", "python", "qwen", "seed", "glm", "minimax", "dsml", "gemma4", "functiongemma"
]


_LAST_TAG = re.compile(r"<[^<>]*>\s*\Z")


@dataclass(frozen=True)
class Format:
    """Calls are written `first call (between call)* last`."""

    parser: Maker
    call: str
    first: str = ""
    between: str = ""
    last: str = ""
    trigger: str = ""
    """What a call begins with and nothing else does; empty: nothing marks it."""
    markers: tuple[str, ...] = ()
    """Texts that are tokens of their own in some vocabularies, and control tokens in others."""
    arguments: Notation = "json"
    parallel: bool = True
    """An answer may have several calls."""
    signs: tuple[str, ...] = ()
    """A template that writes this format has all of these in its text."""
    unmarked_history: bool = False
    """Its templates leave `first` and `last` out where they write earlier calls."""
    ids: Literal["", "mistral", "kimi"] = ""
    """What its templates want a call's id to look like (`call_ids`)."""
    named_results: bool = False
    """Its templates want the tool's name beside a result."""

    def marks(self, names: Iterable[str]) -> CallMarks:
        """Where calls of these tools are."""
        if self.trigger:
            closing = self.last or self.call.partition(ARGUMENTS)[2]
            tag = _LAST_TAG.search(closing)
            return CallMarks((self.trigger,), tag[0].strip() if tag else "")
        if self.first:
            begin = tuple(f"{self.first}{name}(" for name in names)
        else:
            begin = tuple('{"' + key + '"' for key in ("name", "type", "function"))
        return CallMarks((*self.markers, *begin), first=True)
