"""What is dropped of a chat that is too long."""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tricorn.chat.truncation import Cut, cuts, room, search, without
from tricorn.engines.request import ChatPrompt, Image


def story(script: str) -> list[dict[str, Any]]:
    """s, d, u, a: a message of that role; c1, r1: a call with that id and its result."""
    messages: list[dict[str, Any]] = []
    roles = {"s": "system", "d": "developer", "u": "user", "a": "assistant"}
    for number, word in enumerate(script.split()):
        if word in roles:
            messages.append({"role": roles[word], "content": f"{number}"})
        elif word[0] == "c":
            function = {"name": "f", "arguments": "{}"}
            calls = [{"id": one, "type": "function", "function": function} for one in word[1:]]
            messages.append({"role": "assistant", "content": None, "tool_calls": calls})
        else:
            messages.append({"role": "tool", "content": f"{number}", "tool_call_id": word[1:]})
    return messages


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("u", []),
        ("s u", []),
        ("a", []),
        ("s s", []),
        ("s u a u", [(1, 3, 1)]),
        ("u a u a u a", [(0, 2, 1), (0, 4, 2)]),
        ("s d u a a u u", [(2, 5, 1), (2, 6, 2)]),
        ("s a u", [(1, 2, 1)]),  # a greeting before the user's first words
        ("s u a s u", [(1, 4, 1)]),  # a later system message goes with its turn
        ("u c1 r1 a u", [(0, 4, 1)]),
        ("u c1 u r1 a u", [(0, 5, 2)]),  # the result comes in a later turn: both or none
        ("u c1 u r1", []),
        ("u c12 r1 u r2 a u a u", [(0, 6, 2), (0, 8, 3)]),
        ("u c1 r1 u c1 r1 u", [(0, 3, 1), (0, 6, 2)]),  # the same id again
        ("s u c1 r1 c2 r2", []),  # all of it is the last turn
    ],
)
def test_cuts(script: str, expected: list[tuple[int, int, int]]) -> None:
    """By whole turns, the oldest first; the head and the last turn stay."""
    assert cuts(story(script)) == [Cut(*cut) for cut in expected]


WORDS = st.lists(st.sampled_from(["s", "u", "a", "c1", "c2", "c12", "r1", "r2"]), max_size=14)


@given(WORDS)
def test_cuts_keep_what_must_stay(words: list[str]) -> None:
    """Of any chat: head, last message of the user and what follows, and whole exchanges."""
    messages = story(" ".join(words))
    chat = ChatPrompt(messages)
    head = next((n for n, m in enumerate(messages) if m["role"] != "system"), len(messages))
    last = max((n for n, m in enumerate(messages) if m["role"] == "user"), default=head)
    before = 0
    for cut in cuts(messages):
        left = without(chat, cut).messages
        assert left[:head] == messages[:head]
        assert left[-len(messages[last:]) :] == messages[last:]
        assert before < cut.end - cut.begin == len(messages) - len(left)
        before = cut.end - cut.begin
        known: dict[str, int] = {}
        for number, message in enumerate(messages):
            for call in message.get("tool_calls", ()):
                known[call["id"]] = number
            if message["role"] == "tool" and message["tool_call_id"] in known:
                call_dropped = cut.begin <= known[message["tool_call_id"]] < cut.end
                assert call_dropped == (cut.begin <= number < cut.end)


@given(st.integers(1, 60), st.integers(0, 70))
def test_search(count: int, enough: int) -> None:
    """Finds the first one that is enough, or ends with the last, in a few tries."""
    tried = []

    def trial() -> Generator[int, bool, None]:
        tried.append((yield from search(count)))

    looking = trial()
    numbers = 0
    with contextlib.suppress(StopIteration):
        number = next(looking)
        while True:
            numbers += 1
            number = looking.send(number >= enough)
    assert tried == [min(enough, count - 1)]
    assert numbers <= 6


def test_images_go_with_their_messages() -> None:
    """And the others keep theirs."""
    messages = story("s u a u a u")
    for number, count in ((1, 1), (3, 2), (5, 1)):
        messages[number]["content"] = [{"type": "text", "text": "?"}, *[{"type": "image"}] * count]
    images = [Image(bytes([number])) for number in range(4)]
    first, second = cuts(messages)
    assert without(ChatPrompt(messages, images=images), first).images == images[1:]
    assert without(ChatPrompt(messages, images=images), second).images == images[3:]


@pytest.mark.parametrize(
    ("max_tokens", "context", "expected"),
    [(100, 8192, 100), (8192, 8192, 4096), (None, 8192, 512), (None, 400, 100), (0, 100, 1)],
)
def test_room(max_tokens: int | None, context: int, expected: int) -> None:
    """What the request allows up to half of the context; else a little, up to a quarter."""
    assert room(max_tokens, context) == expected
