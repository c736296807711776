"""What a spare worker does before it is told what to load."""

from __future__ import annotations

import importlib
from types import SimpleNamespace

import pytest

from tricorn.worker import spare


def test_its_engine_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of it: as a load does."""
    imported: list[str] = []

    def import_module(name: str) -> SimpleNamespace:
        imported.append(name)
        return SimpleNamespace(create=object)

    monkeypatch.setattr(importlib, "import_module", import_module)
    spare.import_engine("llamacpp")
    assert imported == ["tricorn.engines.llamacpp.cores"]


def test_an_engine_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The load will tell."""

    def import_module(name: str) -> None:
        raise ImportError("no module named llama_cpp")

    monkeypatch.setattr(importlib, "import_module", import_module)
    spare.import_engine("llamacpp")
