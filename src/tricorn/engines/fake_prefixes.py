"""What the fake engine remembers of sequences that ended; see `fake` for its knobs."""

from __future__ import annotations

from tricorn.engines.prefix import common_prefix
from tricorn.engines.spec import EngineOptions

DEFAULT_SIZE = 16


class EndedPrompts:
    """The prompts of the last ended sequences.

    used: the knob; where it is off nothing is found.
    """

    def __init__(self, options: EngineOptions, *, used: bool) -> None:
        self._size = (options.cache_size or DEFAULT_SIZE) if options.prefix_cache and used else 0
        self._prompts: list[list[int]] = []
        self.details: dict[str, int | bool] = (
            {"prefix_caching": self._size > 0, "cache_size": self._size} if used else {}
        )

    def add(self, prompt: list[int]) -> None:
        """A sequence has ended; the oldest ones are forgotten."""
        if prompt in self._prompts:
            self._prompts.remove(prompt)
        self._prompts = [*self._prompts, prompt][-self._size :] if self._size else []

    def shared(self, prompt: list[int]) -> int:
        """Tokens that a prompt begins with as one of them did; the last one is never found."""
        return max((common_prefix(one, prompt[:-1]) for one in self._prompts), default=0)
