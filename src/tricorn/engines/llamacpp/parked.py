"""Ended sequences kept in main memory, out of the way of those that run.

Every step of llama.cpp walks over all used cells of the unified KV cache, also over those of ended
sequences: 6,000 idle cells slow decoding down by a third. So what is only kept for its prefix is
copied out, and copied back when a prompt begins with it; that costs about a thousandth of computing
it again on a CPU.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tricorn.engines.prefix import common_prefix

State = npt.NDArray[np.uint8]
"""llama.cpp's own serialisation of one sequence."""

WORTH_TOKENS = 16
"""A shorter prefix is computed rather than copied back."""
WORTH_SHARE = 16
"""Nor is a prefix worth it that is less than this part of what has to be copied for it."""


@dataclass(eq=False, frozen=True)
class Parked:
    """A sequence's computed tokens and the KV state that goes with them."""

    tokens: list[int]
    state: State


class ParkedPrefixes:
    """The least recently used go first when `budget`, in bytes, is exceeded."""

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self.used = 0
        self._entries: list[Parked] = []

    def covers(self, tokens: list[int]) -> bool:
        """Something parked begins with all of `tokens`: there is nothing to add."""
        return any(entry.tokens[: len(tokens)] == tokens for entry in self._entries)

    def add(self, tokens: list[int], state: State) -> None:
        """Keep it; what is a prefix of it has nothing of its own and goes."""
        for entry in [e for e in self._entries if tokens[: len(e.tokens)] == e.tokens]:
            self._drop(entry)
        while self._entries and self.used + state.nbytes > self.budget:
            self._drop(self._entries[0])
        if state.nbytes <= self.budget:
            self._entries.append(Parked(tokens, state))
            self.used += state.nbytes

    def match(self, tokens: list[int], *, room: int) -> tuple[Parked | None, int]:
        """The longest prefix of `tokens` that is worth copying back, and its length in tokens.

        room: cells there are for the copy, which is always of the whole entry.
        """
        best, length = None, WORTH_TOKENS - 1
        for entry in self._entries:
            size = len(entry.tokens)
            if length < size <= room:
                common = common_prefix(entry.tokens, tokens)
                if common > length and common * WORTH_SHARE >= size:
                    best, length = entry, common
        return (best, length) if best else (None, 0)

    def touch(self, entry: Parked) -> None:
        """It was used: others go before it."""
        if entry in self._entries:
            self._entries.remove(entry)
            self._entries.append(entry)

    def __len__(self) -> int:
        return len(self._entries)

    def forget_oldest(self) -> None:
        """The least recently used one goes."""
        self._drop(self._entries[0])

    def _drop(self, entry: Parked) -> None:
        self._entries.remove(entry)
        self.used -= entry.state.nbytes
