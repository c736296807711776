"""Thoughts that are ended when they have so many tokens."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tricorn.engines.request import ThoughtLimit
from tricorn.engines.thoughts import Thought

END = tuple(b"</t>")


def run(script: bytes, tokens: int, size: int = 1, **fields: Any) -> str:
    """What a model that would write `script`, `size` bytes a token, has written in the end. What
    was forced stands in brackets; the model goes on behind it where it was."""
    given = {"begin": "<t>", "end": "</t>", "forced": (END,)} | fields
    limit = ThoughtLimit(tokens, **given)
    pieces = [script[at : at + size] for at in range(0, len(script), size)]
    whole = {1000 + number: piece for number, piece in enumerate(pieces)}
    thought = Thought(limit, lambda token: whole.get(token) or bytes([token]))
    written: list[bytes] = []
    planned = iter(whole)
    while True:
        forced = thought.forced()
        token = forced if forced is not None else next(planned, None)
        if token is None:
            return b"".join(written).replace(b"][", b"").decode()
        thought.took(token)
        written.append(whole[token] if forced is None else b"[%c]" % token)


@pytest.mark.parametrize(
    ("script", "tokens", "fields", "written"),
    [
        ("<t>abcdef", 3, {}, "<t>abc[</t>]def"),
        (" \n<t>abcdef", 3, {}, " \n<t>abc[</t>]def"),
        ("<t>abc</t>def", 9, {}, "<t>abc</t>def"),
        ("<t>abc</t><t>def", 4, {}, "<t>abc</t><t>def"),  # its own end comes in time
        ("<t>ab<c", 3, {}, "<t>ab<c[</t>]"),  # that might have been the end
        ("<t>abcdef", 0, {}, "<t>[</t>]abcdef"),
        ("abc<t>def", 0, {}, "abc<t>def"),  # later on it is text
        ("<tt>abc", 0, {}, "<tt>abc"),
        ("abcdef", 3, {"opened": True}, "abc[</t>]def"),
        ("abcdef", 0, {"opened": True}, "[</t>]abcdef"),
        ("ab</t>def", 3, {"opened": True}, "ab</t>def"),
        ("aé😀b", 2, {"opened": True}, "aé[</t>]😀b"),  # never inside a character
        ("aé😀b", 4, {"opened": True}, "aé😀[</t>]b"),
        ("<t>ab</t>x<t>cdef", 6, {"again": True}, "<t>ab</t>x<t>c[</t>]def"),
        ("<t>abc<t>de<t>f", 2, {"again": True, "forced": (END, (*END, 33))},
         "<t>ab[</t>]c<t>[</t>!]de<t>[</t>!]f"),
    ],
)  # fmt: skip
def test_ending(script: str, tokens: int, fields: dict[str, Any], written: str) -> None:
    """When it has the tokens that it may have, and not before."""
    assert run(script.encode(), tokens, **fields) == written


@given(st.text("<t/>é ", max_size=30), st.integers(0, 8), st.integers(1, 5), st.booleans())
def test_nothing_is_lost(script: str, tokens: int, size: int, opened: bool) -> None:
    """Whatever is written, in tokens of any length: at most one end is added, none of the text is
    changed, and an opened thought is over by the limit and a little."""
    written = run(script.encode(), tokens, size, opened=opened)
    assert written.replace("[</t>]", "") == script
    assert written.count("[") <= 1
    if opened:
        thought = written.replace("[", "").replace("]", "").partition("</t>")[0]
        assert len(thought.encode()) <= (tokens + len(END) + 2) * size


def test_nothing_is_forced_before_its_time() -> None:
    """As many tokens may be taken unseen as the thought may have."""
    thought = Thought(ThoughtLimit(4, "<t>", "</t>", (END,), opened=True), lambda t: bytes([t]))
    assert thought.patience == 4
    for token in b"abcd":
        assert thought.forced() is None
        thought.took(token)
    assert thought.forced() == END[0]
