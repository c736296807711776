"""The output items of a response, as they grow."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal

from tricorn.chat.choice import new_call_id
from tricorn.chat.pieces import CallPart, Content, Piece
from tricorn.chat.responses.ids import new_id

Status = Literal["in_progress", "completed", "incomplete"]
Json = dict[str, Any]


class OutputItem(ABC):
    """index: which of the output's items it is."""

    prefix: ClassVar[str]
    delta_event: ClassVar[str]
    done_event: ClassVar[str]
    done_field: ClassVar[str] = "text"
    """The field of `done_event` that has all of the text."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.id = new_id(self.prefix)
        self._pieces: list[str] = []
        self.logprobs: list[Json] = []
        """Of its tokens, where they were asked for; only messages have them."""

    @property
    def text(self) -> str:
        return "".join(self._pieces)

    def add(self, text: str) -> None:
        self._pieces.append(text)

    @abstractmethod
    def takes(self, piece: Piece) -> bool:
        """The piece continues this item."""

    @abstractmethod
    def shown(self, status: Status) -> Json:
        """As it stands."""

    def part(self) -> Json | None:
        """Its only content part as it stands; None where it has no parts."""
        return None

    def _content(self, status: Status) -> list[Json]:
        # What was only begun has no part yet: an event of its own adds it.
        part = self.part()
        return [] if status == "in_progress" or part is None else [part]


class Message(OutputItem):
    prefix = "msg"
    delta_event = "response.output_text.delta"
    done_event = "response.output_text.done"

    def takes(self, piece: Piece) -> bool:
        return isinstance(piece, Content)

    def part(self) -> Json:
        return {
            "type": "output_text",
            "annotations": [],
            "logprobs": self.logprobs,
            "text": self.text,
        }

    def shown(self, status: Status) -> Json:
        return {
            "id": self.id,
            "type": "message",
            "status": status,
            "role": "assistant",
            "content": self._content(status),
        }


class Reasoning(OutputItem):
    """Thoughts as the model wrote them; nobody summarises them."""

    prefix = "rs"
    delta_event = "response.reasoning_text.delta"
    done_event = "response.reasoning_text.done"

    def takes(self, piece: Piece) -> bool:
        return not isinstance(piece, Content | CallPart)

    def part(self) -> Json:
        return {"type": "reasoning_text", "text": self.text}

    def shown(self, status: Status) -> Json:
        return {
            "id": self.id,
            "type": "reasoning",
            "status": status,
            "summary": [],
            "content": self._content(status),
            "encrypted_content": None,
        }


class FunctionCall(OutputItem):
    prefix = "fc"
    delta_event = "response.function_call_arguments.delta"
    done_event = "response.function_call_arguments.done"
    done_field = "arguments"

    def __init__(self, index: int, first: CallPart) -> None:
        super().__init__(index)
        assert first.name is not None, "a call begins with its name"
        self.name = first.name
        self._number = first.number
        self._call_id = new_call_id()

    def takes(self, piece: Piece) -> bool:
        return isinstance(piece, CallPart) and piece.number == self._number

    def shown(self, status: Status) -> Json:
        return {
            "id": self.id,
            "type": "function_call",
            "status": status,
            "call_id": self._call_id,
            "name": self.name,
            "arguments": self.text,
        }


def item_for(piece: Piece, index: int) -> OutputItem:
    """A new one that takes the piece."""
    match piece:
        case Content():
            return Message(index)
        case CallPart():
            return FunctionCall(index, piece)
        case _:
            return Reasoning(index)


def text_in(piece: Piece) -> str:
    """What the piece adds to its item."""
    return piece.arguments if isinstance(piece, CallPart) else piece.text
