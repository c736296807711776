"""The base of readers: text comes in pieces of any length, what it means goes out.

A reader is a coroutine over a growing text. It takes nothing away before it knows what it is, so
how the text was cut into pieces never changes the result; and what it held back it gives back when
it turns out to be plain text after all.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Generator
from functools import cache

from tricorn.chat.pieces import Content, Piece, Steps

Found = Generator[None, None, str]
"""Ends with the marker that was found, or with an empty string at the text's end."""

SPACE = " \t\r\n"


class Reader(ABC):
    """Feed it text, then finish it; each call gives what is known now."""

    thinking = False
    """The text so far ends inside a thought."""

    def __init__(self) -> None:
        self.buffer = ""
        """What was not given out yet."""
        self.at = 0
        """Where in the buffer a marker was found; only white space is in front of it."""
        self.ended = self.cut = False
        self.after_markup = False
        """There was markup, so that white space alone at the end is a part of it."""
        self.pieces: list[Piece] = []
        self._watched: re.Pattern[str] | None = None
        """Set while all that was fed is given out: text in which it finds nothing is content."""
        self._work = self.run()

    def feed(self, text: str) -> list[Piece]:
        # Nearly every token ends here.
        if self._watched is not None and self._watched.search(text) is None:
            if not text:
                return []
            self.after_markup = False
            return [Content(text)]
        self.buffer += text
        return self._go_on()

    def finish(self, *, cut: bool = False) -> list[Piece]:
        """cut: it did not end by itself, so that markup may be incomplete."""
        self.ended, self.cut = True, cut
        return self._go_on()

    def _go_on(self) -> list[Piece]:
        next(self._work, None)
        pieces, self.pieces = self.pieces, []
        return pieces

    @abstractmethod
    def run(self) -> Generator[None, None, None]:
        """Read until `ended` and the buffer is used up."""

    # --- steps ---------------------------------------------------------------------------------

    def give(self, text: str) -> None:
        if text:
            self.pieces.append(Content(text))
            self.after_markup = False

    def drop(self, length: int) -> None:
        self.buffer = self.buffer[length:]

    def has(self, length: int) -> Steps:
        """Whether the buffer gets so long."""
        while len(self.buffer) < length:
            if self.ended:
                return False
            yield
        return True

    def content_until(self, *markers: str) -> Found:
        """Give out text until a marker begins at `at` in the buffer, where it stays.

        White space in front of it stays too: beside markup it belongs to the markup.
        """
        while True:
            found = [(at, marker) for marker in markers if (at := self.buffer.find(marker)) >= 0]
            if found:
                at, marker = min(found)
                text = self.buffer[:at].rstrip(SPACE)
                self.give(text)
                self.drop(len(text))
                self.at = at - len(text)
                return marker
            if self.ended:
                if not (self.after_markup and self.buffer.isspace()):
                    self.give(self.buffer)
                self.buffer = ""
                return ""
            held = max((overlap(self.buffer, marker) for marker in markers), default=0)
            text = self.buffer[: len(self.buffer) - held].rstrip(SPACE)
            if text:
                self.give(text)
                self.drop(len(text))
            if not self.buffer:
                self._watched = _watch(markers)
            yield
            self._watched = None

    def give_back(self, marker: str) -> None:
        """The marker at `at` was plain text after all; or it is all that is left of markup that
        was cut off, which says nothing to anybody."""
        if self.ended and self.cut:
            self.buffer = ""
            return
        length = self.at + len(marker)
        self.give(self.buffer[:length])
        self.drop(length)

    def skip_space(self, at: int) -> Generator[None, None, int]:
        """The index of the first character from `at` on that is no white space."""
        while (yield from self.has(at + 1)) and self.buffer[at] in SPACE:
            at += 1
        return at

    def follows(self, text: str, at: int) -> Steps:
        """Whether `text` stands at `at`."""
        while not self.buffer.startswith(text, at):
            if self.ended or not text.startswith(self.buffer[at:]):
                return False
            yield
        return True

    def skip_past(self, marker: str) -> Steps:
        """Drop white space and `marker`, if that is what comes next; also what is left of it where
        the text was cut off."""
        at = yield from self.skip_space(0)
        if not (yield from self.follows(marker, at)):
            if self.ended and self.cut and marker.startswith(self.buffer[at:]):
                self.buffer = ""
            return False
        self.drop(at + len(marker))
        return True

    def find(self, marker: str, at: int) -> Generator[None, None, int]:
        """The index of `marker` from `at` on; -1 where it does not come."""
        while (found := self.buffer.find(marker, at)) < 0:
            if self.ended:
                return -1
            at = max(at, len(self.buffer) - len(marker) + 1)
            yield
        return found


@cache
def _watch(markers: tuple[str, ...]) -> re.Pattern[str]:
    """Finds what may begin a marker, and white space at the end, which may belong to one."""
    initials = "".join({re.escape(marker[0]) for marker in markers})
    return re.compile(rf"[{initials}]|\s\Z" if initials else r"\s\Z")


def overlap(text: str, marker: str) -> int:
    """Length of the longest end of `text` that is a beginning of `marker` (but not all of it)."""
    at = max(0, len(text) - len(marker) + 1)
    while (at := text.find(marker[0], at)) >= 0:
        if marker.startswith(text[at:]):
            return len(text) - at
        at += 1
    return 0
