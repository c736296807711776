"""What one rendering of a chat template may take: characters made, and time.

A template comes with a model file, so it may be a bomb: loops within loops, `'a' * 10**10`, lists
that double. Everything by which a template makes something is counted here before it is made, and
the clock is looked at now and then. What is counted is what a value would take written out, so that
nothing that follows (a comparison, JSON, a copy) can take more than that either.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from jinja2 import TemplateError
from jinja2.utils import Namespace
from markupsafe import Markup

CHARACTERS = 128 * 2**20
"""All together, those that are thrown away again too. A context of a million tokens has 4 MB."""
TIME_S = 10.0
"""Ten thousand messages take a second."""
BITS = 1 << 16
"""Of an integer."""
LOOK_EACH = 8192
"""Characters between two looks at the clock."""
ITEM = 64
"""A list's or mapping's item counts as that many characters, beside what is in it."""


class TooExpensive(TemplateError):
    """The template wants more than it may have; a clause for people."""


class Budget:
    """Of one rendering."""

    __slots__ = ("_clock", "_end", "_left", "_next_look")

    def __init__(
        self,
        characters: int = CHARACTERS,
        time_s: float = TIME_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._left = characters
        self._next_look = characters
        self._clock = clock
        self._end = clock() + time_s

    def take(self, characters: int = 0) -> None:
        """Before so much is made; TooExpensive where that is more than is left, or time is over."""
        self._left -= characters + 1
        if self._left < self._next_look:
            self._look()

    def search(self) -> None:
        """Before something long may be looked through, or a part of it copied."""
        self.take(LOOK_EACH)

    def take_value(self, value: Any, times: int = 1) -> None:
        """Before a value is written, copied or kept, that often."""
        if type(value) is str:
            self.take(len(value) * times)
        else:
            self.take(self._weight(value) * times)

    def _look(self) -> None:
        if self._left < 0:
            raise TooExpensive("it makes too much text, or too long lists")
        if self._clock() > self._end:
            raise TooExpensive("it takes too long")
        left = self._left
        self._next_look = left - LOOK_EACH if left > LOOK_EACH else 0

    def _weight(self, value: Any) -> int:
        weight, waiting = 0, [value]
        while waiting:
            one = waiting.pop()
            kind = type(one)
            if kind is str or kind is Markup:
                weight += len(one)
            elif kind is dict:
                weight += ITEM * len(one)
                waiting += one
                waiting += one.values()
            elif kind is list or isinstance(one, tuple):
                weight += ITEM * len(one)
                waiting += one
            elif isinstance(one, int):
                weight += limited(one).bit_length() // 3
            elif kind is Namespace:
                # What is in it can change afterwards, and it can hold itself.
                raise TooExpensive("it writes or keeps a whole namespace")
            # Lists that share their items are as long, written out, as if they did not.
            if weight > self._left:
                break
        return weight


def limited(number: int) -> int:
    """TooExpensive where it is longer than any that a template needs."""
    if number.bit_length() > BITS:
        raise TooExpensive("it calculates with very long numbers")
    return number
