"""What of a chat is dropped where it is too long: the oldest turns. Pure.

A turn is a message of the user with all that follows up to the next one; what stands before the
first of them is one too. Never dropped are the system messages at the head and the last turn. A
tool's result that comes in a later turn than its call binds these turns together: they go together
or stay together.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from tricorn.engines.request import ChatPrompt

MIN_ANSWER = 512
"""Tokens that an answer is to have room for where the request does not say how long it may be."""


class Truncated(msgspec.Struct, frozen=True, array_like=True):
    """What was dropped."""

    messages: int
    turns: int
    tokens: int
    """By how many the prompt has become shorter."""

    def told(self) -> dict[str, int]:
        """As an answer has it, under `truncation`."""
        return {
            "dropped_messages": self.messages,
            "dropped_turns": self.turns,
            "dropped_tokens": self.tokens,
        }


class Cut(NamedTuple):
    """The messages from `begin` up to `end`, which are so many turns."""

    begin: int
    end: int
    turns: int


def room(max_tokens: int | None, context_length: int) -> int:
    """Tokens to be left for the answer.

    What the request allows, but no more than half of the context: the chat is worth as much. Where
    it does not say: MIN_ANSWER, but no more than a quarter.
    """
    if max_tokens is None:
        return max(1, min(MIN_ANSWER, context_length // 4))
    return max(1, min(max_tokens, context_length // 2))


def cuts(messages: Sequence[Mapping[str, Any]]) -> list[Cut]:
    """All that may be dropped, from the least to the most; empty where nothing may."""
    head = 0
    while head < len(messages) and messages[head]["role"] in ("system", "developer"):
        head += 1
    turns = [
        number
        for number in range(head, len(messages))
        if number == head or messages[number]["role"] == "user"
    ]
    bound = _bound(messages)
    return [
        Cut(head, end, count)
        for count, end in enumerate(turns)
        if count and not any(call < end <= result for call, result in bound)
    ]


def _bound(messages: Sequence[Mapping[str, Any]]) -> list[tuple[int, int]]:
    """Each tool's result with the message that has its call: (call, result)."""
    called: dict[str, int] = {}
    pairs = []
    for number, message in enumerate(messages):
        for call in message.get("tool_calls") or ():
            called[call["id"]] = number  # ids may come again in a later exchange
        if message["role"] == "tool" and message["tool_call_id"] in called:
            pairs.append((called[message["tool_call_id"]], number))
    return pairs


def search(count: int) -> Generator[int, bool, int]:
    """The first of `count` cuts that is enough; the last one where none is.

    Yields the number of one to be tried, and is sent whether the chat fits with it.
    """
    low, high = 0, count - 1
    while low < high:
        middle = (low + high) // 2
        if (yield middle):
            high = middle
        else:
            low = middle + 1
    return low


def without(chat: ChatPrompt, cut: Cut) -> ChatPrompt:
    """The chat without the messages of `cut`, and without their images."""
    before = _images(chat.messages[: cut.begin])
    dropped = _images(chat.messages[cut.begin : cut.end])
    return msgspec.structs.replace(
        chat,
        messages=chat.messages[: cut.begin] + chat.messages[cut.end :],
        images=chat.images[:before] + chat.images[before + dropped :],
    )


def _images(messages: Sequence[Mapping[str, Any]]) -> int:
    return sum(
        part["type"] == "image"
        for message in messages
        if isinstance(message.get("content"), list)
        for part in message["content"]
    )
