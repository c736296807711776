"""JSON in a text that is still growing: where a value ends, and how values are written."""

from __future__ import annotations

import json
import re
from typing import Any

_TURN = re.compile(r'["{}\[\]]')
_STRING_TURN = re.compile(r'["\\]')
_SCALAR_END = re.compile(r"[\s,}\]]")


class ValueEnd:
    """Looks at each character once. Brackets and strings are followed; nothing is validated."""

    def __init__(self) -> None:
        self._begun = self._scalar = False
        self._depth = 0
        self._in_string = self._escaped = False

    def feed(self, text: str, at: int = 0) -> int:
        """The index after the value in `text`, which goes on with it at `at`; -1 while it goes on
        beyond."""
        if not self._begun and at < len(text):
            self._begun = True
            self._scalar = text[at] not in '"{['
        if self._scalar:
            found = _SCALAR_END.search(text, at)
            return found.start() if found else -1
        while at < len(text):
            if self._in_string:
                at = self._through_string(text, at)
            else:
                found = _TURN.search(text, at)
                if found is None:
                    return -1
                at = found.end()
                self._in_string = found[0] == '"'
                self._depth += {"{": 1, "[": 1, "}": -1, "]": -1}.get(found[0], 0)
            if self._depth <= 0 and not self._in_string:
                return at
        return -1

    def _through_string(self, text: str, at: int) -> int:
        """The index after the string's end, or the text's length."""
        while at < len(text):
            if self._escaped:
                self._escaped = False
                at += 1
                continue
            found = _STRING_TURN.search(text, at)
            if found is None:
                return len(text)
            at = found.end()
            if found[0] == '"':
                self._in_string = False
                return at
            self._escaped = True
        return at


def written(value: Any) -> str:
    """The JSON of `value`, in characters that can be sent: half of a surrogate pair, which a model
    may write by its escape, stays one."""
    text = json.dumps(value, ensure_ascii=False)
    return text if sendable(text) else json.dumps(value)


def sendable(text: str) -> bool:
    """Whether it has an encoding, as halves of surrogate pairs have none."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
