"""Answers with calls, read by a format's parser in pieces of any size."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from tricorn.chat.pieces import CallPart, Content, Piece, Thought
from tricorn.chat.tools.formats import FORMATS

TOOLS: list[dict[str, Any]] = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            },
        },
    },
    {"type": "function", "function": {"name": "now"}},
]


def joined(pieces: Sequence[Piece]) -> tuple[str, str, list[tuple[str, str]]]:
    """(content, thoughts, calls) that the pieces are parts of."""
    content = thoughts = ""
    calls: list[tuple[str, str]] = []
    for piece in pieces:
        assert all(text.encode() or True for text in piece if isinstance(text, str)), "to be sent"
        match piece:
            case Content(text):
                content += text
            case Thought(text):
                thoughts += text
            case CallPart(number, str(name), arguments):
                assert number == len(calls), pieces
                calls.append((name, arguments))
            case CallPart(number, None, arguments):
                assert number == len(calls) - 1, pieces
                calls[-1] = (calls[-1][0], calls[-1][1] + arguments)
    return content, thoughts, calls


def read(form: str, chunks: Sequence[str], *, cut: bool = False) -> Any:
    parser = FORMATS[form].parser(TOOLS)
    pieces = [piece for chunk in chunks for piece in parser.feed(chunk)]
    return joined(pieces + parser.finish(cut=cut))


def cut_at(text: str, cuts: Sequence[int]) -> list[str]:
    places = [0, *sorted({min(at, len(text)) for at in cuts}), len(text)]
    return [text[a:b] for a, b in pairwise(places)]


def every_way(form: str, text: str, *, cut: bool = False) -> Any:
    """What is read of the text in one piece; the same must come of it however it is cut."""
    whole = read(form, [text], cut=cut)
    assert read(form, list(text), cut=cut) == whole
    for at in range(1, len(text)):
        assert read(form, [text[:at], text[at:]], cut=cut) == whole, text[:at]
    return whole
