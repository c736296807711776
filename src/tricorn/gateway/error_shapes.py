"""How each API family writes an error into a body. Which family it is, the path tells: also an
unknown path or a wrong method gets the shape that its client can read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tricorn.errors import TricornError

Shape = Callable[[TricornError], dict[str, Any]]


def openai(error: TricornError) -> dict[str, Any]:
    """`param` is there even when null, `code` is always a string."""
    return {
        "error": {
            "message": error.message,
            "type": error.type,
            "param": error.param,
            "code": error.code,
        }
    }


_BY_PATH: dict[str, Shape] = {}
"""A path and all below it → the shape."""


def of(path: str) -> Shape:
    """OpenAI's, unless the path belongs to another family."""
    for root, shape in _BY_PATH.items():
        if path == root or path.startswith(root + "/"):
            return shape
    return openai
