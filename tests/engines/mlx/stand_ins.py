"""Packages of MLX's environment, which the tests' own has not, as modules of their names."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

import pytest

from tricorn.engines import mlx


def stand_in(monkeypatch: pytest.MonkeyPatch, name: str, **contents: Any) -> None:
    """A module with these contents, until the test ends."""
    made = ModuleType(name)
    made.__dict__.update(contents)
    monkeypatch.setitem(sys.modules, name, made)


def imported(monkeypatch: pytest.MonkeyPatch, name: str) -> Any:
    """A module of `tricorn.engines.mlx`, imported over the stand-ins and forgotten when the test
    ends."""
    whole = f"{mlx.__name__}.{name}"
    # First noted by monkeypatch, which takes away at the end what the import puts in its place.
    monkeypatch.setitem(sys.modules, whole, ModuleType(whole))
    monkeypatch.setattr(mlx, name, None, raising=False)
    del sys.modules[whole]
    return importlib.import_module(whole)
