"""One answer's text as it comes → thoughts, content and parts of tool calls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tricorn.chat.pieces import Content, Piece, Reading
from tricorn.chat.reader import Reader
from tricorn.chat.reasoning import HARMONY, TAGS, ThoughtReader
from tricorn.chat.tools.formats import FORMATS
from tricorn.chat.tools.harmony import HarmonyParser
from tricorn.chat.tools.parser import ToolParser


class AnswerReader:
    """tools: those of the request, in OpenAI's shape."""

    def __init__(self, reading: Reading, tools: Sequence[Mapping[str, Any]]) -> None:
        tag = TAGS.get(reading.reasoning)
        self._tools: ToolParser | None = None
        if reading.tools:
            self._tools = FORMATS[reading.tools].parser(tools)
        self._thoughts: Reader | None = None
        if tag is not None:
            self._thoughts = ThoughtReader(tag, thinking=reading.thinking)
        elif reading.reasoning and reading.tools != HARMONY:
            self._thoughts = HarmonyParser(())

        self._thinker = self._thoughts or self._tools

    @property
    def thinking(self) -> bool:
        """The text so far ends inside a thought."""
        return self._thinker is not None and self._thinker.thinking

    def feed(self, text: str) -> list[Piece]:
        if self._thoughts is None:
            assert self._tools is not None, "there is something to be read"
            return self._tools.feed(text)
        return self._content(self._thoughts.feed(text))

    def finish(self, *, cut: bool) -> list[Piece]:
        """cut: the answer was ended by a limit."""
        pieces: list[Piece] = []
        if self._thoughts is not None:
            pieces = self._content(self._thoughts.finish(cut=cut))
        return pieces + (self._tools.finish(cut=cut) if self._tools is not None else [])

    def _content(self, pieces: list[Piece]) -> list[Piece]:
        """What the tools' parser makes of the content in it."""
        if self._tools is None:
            return pieces
        if len(pieces) == 1 and isinstance(pieces[0], Content):
            return self._tools.feed(pieces[0].text)
        read: list[Piece] = []
        for piece in pieces:
            read += self._tools.feed(piece.text) if isinstance(piece, Content) else [piece]
        return read
