"""What an answer's text consists of once its markup has been read."""

from __future__ import annotations

from collections.abc import Generator
from typing import NamedTuple

import msgspec

Steps = Generator[None, None, bool]
"""A part of a reader: stops where it needs more text, and says at its end whether it got on."""


class Content(NamedTuple):
    """Text for the user."""

    text: str


class Thought(NamedTuple):
    """Text that the model wrote for itself before it answered."""

    text: str


class CallPart(NamedTuple):
    """A part of a tool call. The first one of a call has the name, and perhaps no arguments."""

    number: int
    """Which of the answer's calls, from 0."""
    name: str | None
    arguments: str
    """A piece of the JSON text of an object."""


Piece = Content | Thought | CallPart


class Reading(msgspec.Struct, frozen=True, array_like=True):
    """How the text of an answer is to be read."""

    tools: str = ""
    """The format of tool calls (`formats.FORMATS`); empty: there are none to be found."""
    reasoning: str = ""
    """The format of thoughts (`reasoning.TAGS`, or harmony); empty: there are none."""
    thinking: bool = False
    """The prompt ends inside a thought."""
