"""An answer of one choice, for the API families that know no more than one."""

from __future__ import annotations

from abc import abstractmethod

from tricorn.chat.choice import ChoiceReader, Told, ToolUse
from tricorn.chat.pieces import Content, Piece, Reading
from tricorn.chat.response import Builder, Head
from tricorn.engines.request import TokenDelta


class SingleAnswer(Builder):
    """Plain text and text with markup come to the same: thoughts, content and parts of calls."""

    def __init__(self, head: Head, use: ToolUse = ToolUse()) -> None:  # noqa: B008 - never changes
        super().__init__(head)
        self._use = use
        self._reader: ChoiceReader | None = None

    def read_as(self, reading: Reading) -> None:
        self._reader = ChoiceReader(reading, self._use)

    def grow(self, choice: int, position: int, delta: TokenDelta) -> list[bytes]:
        told = self._plain(delta) if self._reader is None else self._reader.read(delta)
        self.tally.reasoning_tokens += told.reasoning_tokens
        if told.finish_reason is not None:
            self.tally.finish_reasons[choice] = told.finish_reason
        return self.told(told, delta)

    @abstractmethod
    def told(self, told: Told, delta: TokenDelta) -> list[bytes]:
        """What to send of it. delta: where it came from, for its `stop_reason`."""

    @staticmethod
    def _plain(delta: TokenDelta) -> Told:
        pieces: list[Piece] = [Content(delta.text)] if delta.text else []
        return Told(pieces, logprobs=list(delta.logprobs or ()), finish_reason=delta.finish_reason)
