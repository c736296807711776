"""Prompt caches of ended sequences, kept for the next prompt that begins like them. Pure.

    end of a sequence ──add──► entries, the least recently used first ──match──► a new sequence

What an entry holds is the engine's affair; here only its tokens and its size count.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tricorn.engines.prefix import common_prefix

WORTH_TOKENS = 4
"""A shorter prefix is computed rather than copied."""


@dataclass(eq=False, frozen=True)
class Prefix:
    """Computed tokens, and the model's cache that goes with them."""

    tokens: list[int]
    cache: Any
    nbytes: int


class PrefixCache:
    """The least recently used go first when `budget`, in bytes, is exceeded.

    most: entries; None: as many as the budget allows.
    trimmable: False for models whose cache cannot be cut at a token (recurrent ones, sliding
        windows): an entry then serves only prompts that begin with all of it.
    """

    def __init__(self, budget: int, *, trimmable: bool, most: int | None = None) -> None:
        self.budget = budget
        self._most = most
        self.used = 0
        self._trimmable = trimmable
        self._entries: list[Prefix] = []

    def wants(self, tokens: list[int], nbytes: int) -> bool:
        """It would fit and is not there already, alone or as the beginning of an entry."""
        if len(tokens) < WORTH_TOKENS or nbytes > self.budget:
            return False
        return not any(self._serves_all(entry, tokens) for entry in self._entries)

    def add(self, tokens: list[int], cache: Any, nbytes: int) -> None:
        """Keep it. Where caches can be cut, a prefix of it has nothing of its own and goes."""
        if self._trimmable:
            for entry in [e for e in self._entries if tokens[: len(e.tokens)] == e.tokens]:
                self._drop(entry)
        while self._entries and self.used + nbytes > self.budget:
            self._drop(self._entries[0])
        self._entries.append(Prefix(tokens, cache, nbytes))
        self.used += nbytes
        while self._most is not None and len(self._entries) > self._most:
            self._drop(self._entries[0])

    def match(self, tokens: list[int]) -> tuple[Prefix | None, int]:
        """Who has the longest usable prefix of `tokens`, and its length in tokens."""
        best, length = None, WORTH_TOKENS - 1
        for entry in self._entries:
            if len(entry.tokens) > length or self._trimmable:
                common = usable_prefix(entry.tokens, tokens, trimmable=self._trimmable)
                if common > length:
                    best, length = entry, common
        return (best, length) if best else (None, 0)

    def touch(self, entry: Prefix) -> None:
        """It was used: others go before it."""
        self._entries.remove(entry)
        self._entries.append(entry)

    def _serves_all(self, entry: Prefix, tokens: list[int]) -> bool:
        return usable_prefix(entry.tokens, tokens, trimmable=self._trimmable) == len(tokens)

    def _drop(self, entry: Prefix) -> None:
        self._entries.remove(entry)
        self.used -= entry.nbytes


def usable_prefix(computed: list[int], wanted: list[int], *, trimmable: bool) -> int:
    """How many tokens of `wanted` a cache of `computed` saves."""
    common = common_prefix(computed, wanted)
    return common if trimmable or common == len(computed) else 0
