"""Images in a prompt: embeddings where tokens would stand. Pure, knows no llama.cpp.

In a list of tokens an image's positions hold placeholders, negative numbers that follow from its
bytes: so whatever compares tokens, the prefix cache above all, tells images apart.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

_KEY = secrets.token_bytes(32)

Embeddings = npt.NDArray[np.float32]
"""[positions, width of the model]."""


@dataclass(frozen=True, eq=False)
class Picture:
    """A stretch of a prompt that is computed from embeddings."""

    start: int
    """Its first position."""
    embeddings: Embeddings
    at_once: bool = False
    """Its positions see each other, also later ones: they are computed in one step."""

    @property
    def end(self) -> int:
        return self.start + len(self.embeddings)

    def moved(self, by: int) -> Picture:
        return replace(self, start=self.start + by)


@dataclass(frozen=True)
class Prompt:
    """tokens: placeholders at the positions of `pictures`, which come in order."""

    tokens: list[int]
    pictures: tuple[Picture, ...] = ()


def placeholders(image: bytes, part: int, count: int) -> list[int]:
    """Of an image's part with `count` positions; 64 bits hold them. image: its `identity`."""
    base = (int.from_bytes(image) << 8 | part) << 14
    return [-1 - (base + position) for position in range(count)]


def identity(data: bytes) -> bytes:
    """40 bits for an image. Nobody outside can look for two images with the same ones."""
    return hashlib.blake2b(data, digest_size=5, key=_KEY).digest()


def picture_at(pictures: tuple[Picture, ...], position: int) -> Picture | None:
    return next((p for p in pictures if p.start <= position < p.end), None)


def alike(pictures: tuple[Picture, ...], start: int, count: int) -> int:
    """How many of the `count` positions from `start` on can be computed together: all text, or all
    of one picture; more than `count` for one that is computed at once."""
    inside = picture_at(pictures, start)
    if inside is not None:
        left = inside.end - start
        return left if inside.at_once else min(count, left)
    return min([count, *(p.start - start for p in pictures if p.start > start)])
