"""How many prompt tokens a step computes, so that it does not last too long. Pure.

Between steps new requests and aborts are heard and running streams get their next token. What a
step takes depends on the model and the machine a thousandfold, so it is measured.
"""

from __future__ import annotations

ALONE_S = 1.0
"""How long a step may last while no sequence is decoding."""
BESIDE_S = 0.2
"""And while some are."""

LEAST, MOST = 32, 2048
"""Tokens of a step, whatever was measured."""

TELLING = 16
"""Steps with fewer prompt tokens say nothing about their price."""


class Pace:
    """alone, beside: fixed numbers of tokens while no sequence decodes and while some do; None:
    what was measured decides."""

    def __init__(self, *, alone: int | None, beside: int | None) -> None:
        self._alone = alone
        self._beside = beside
        self._rate: float | None = None

    def tokens(self, *, prompts: int, decoding: int) -> int:
        """Prompt tokens for the next step, all prompts together.

        Where more sequences wait for their first token than for their next, it grows with their
        ratio: a burst is read in large steps.
        """
        if not decoding:
            return self._alone or self._worth(ALONE_S)
        return (self._beside or self._worth(BESIDE_S)) * max(1, prompts // decoding)

    def measured(self, tokens: int, seconds: float) -> None:
        """A step with so many prompt tokens took so long, all in all."""
        if tokens < TELLING:
            return
        rate = tokens / max(seconds, 1e-6)
        self._rate = rate if self._rate is None else (self._rate + rate) / 2

    def _worth(self, seconds: float) -> int:
        if self._rate is None:
            return LEAST
        return max(LEAST, min(MOST, int(self._rate * seconds)))
