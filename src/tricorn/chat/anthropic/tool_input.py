"""A tool's arguments as they come → pieces that can be closed to valid JSON at any time.

An answer may be cut inside a call by max_tokens, and clients parse what they got as JSON when the
block ends. So a piece is given out only up to a place where nothing but closing marks is missing:
a key waits for its value, a number for its end, an escape for its last digit. Where the text is
cut, or turns out to be no JSON, `close` gives those marks, and what was held back is left out.
"""

from __future__ import annotations

import re

_KEY = r'"(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*"\s*:\s*'
_NUMBER = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"
_VALUE = rf'(?P<open>[{{\["])|(?:{_NUMBER}|true|false|null)(?=[\s,}}\]])'
_END = re.compile(r"\s*,?\s*(?P<end>[}\]])")
_NEXT = {
    # What stands in which brackets, first and behind another value.
    ("", False): re.compile(r"\s*(?P<open>\{)"),
    ("}", False): re.compile(rf"\s*{_KEY}(?:{_VALUE})"),
    ("}", True): re.compile(rf"\s*,\s*{_KEY}(?:{_VALUE})"),
    ("]", False): re.compile(rf"\s*(?:{_VALUE})"),
    ("]", True): re.compile(rf"\s*,\s*(?:{_VALUE})"),
}
_CLOSES = {"{": "}", "[": "]", '"': '"'}
_TEXT = re.compile(
    r'(?:[^"\\]|\\[^u]|\\u(?![dD][89a-fA-F])[0-9a-fA-F]{4}'
    # A character of two escapes is whole with the second.
    r"|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})+"
)
_AMISS = re.compile(r'\\(["\\/bfnrtu])|[\\\x00-\x1f]')


class ToolInput:
    def __init__(self) -> None:
        self._held = ""
        self._closing: list[str] = []
        """What is open, outermost first, by its closing mark."""
        self._behind = False
        """A value stands before, in the same brackets."""
        self._begun = False

    def feed(self, text: str) -> str:
        """What can be given out now; may be empty."""
        self._held += text
        given: list[str] = []
        while self._closing or not self._begun:
            piece = self._text() if self._closing[-1:] == ['"'] else self._structure()
            if not piece:
                break
            given.append(piece)
        return "".join(given)

    def close(self) -> str:
        """What is missing at the end of all that was given out; empty where nothing is."""
        if not self._begun:
            return "{}"
        missing = "".join(reversed(self._closing))
        self._closing = []
        return missing

    def _text(self) -> str:
        found = _TEXT.match(self._held)
        if found is None:
            if not self._held.startswith('"'):
                return ""
            self._closing.pop()
            self._behind = True
            return self._take(1)
        return _AMISS.sub(_escaped, self._take(found.end()))

    def _structure(self) -> str:
        bracket = self._closing[-1] if self._closing else ""
        end = _END.match(self._held)
        if end is not None and end["end"] == bracket:
            self._closing.pop()
            self._behind = True
            self._take(end.end())
            return bracket
        found = _NEXT[bracket, self._behind].match(self._held)
        if found is None:
            return ""
        self._begun = True
        opened = found["open"]
        self._behind = opened is None
        if opened is not None:
            self._closing.append(_CLOSES[opened])
        return self._take(found.end())

    def _take(self, length: int) -> str:
        taken, self._held = self._held[:length], self._held[length:]
        return taken


def _escaped(found: re.Match[str]) -> str:
    """Models write line ends, and backslashes of regular expressions, as they are, which no parser
    takes."""
    return found[0] if found[1] else f"\\u{ord(found[0]):04x}"
