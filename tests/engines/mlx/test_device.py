"""Which device MLX computes on, with stand-ins for its packages."""

from __future__ import annotations

import asyncio
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tricorn.engines.fake import FakeCore
from tricorn.engines.mlx import engine, folder
from tricorn.engines.spec import ModelSpec


class Importing(ModuleType):
    """A module that notes when something is taken from it."""

    def __init__(self, name: str, notes: list[str], **contents: Any) -> None:
        super().__init__(name)
        self._notes = notes
        self._contents = contents

    def __getattr__(self, name: str) -> Any:
        try:
            found = self.__dict__["_contents"][name]
        except KeyError:
            raise AttributeError(name) from None
        self.__dict__["_notes"].append(name)
        return found


@pytest.fixture
def notes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What happened, in order."""
    notes: list[str] = []
    core = ModuleType("mlx.core")
    core.cpu = "cpu"  # type: ignore[attr-defined]
    core.set_default_device = notes.append  # type: ignore[attr-defined]
    package = ModuleType("mlx")
    package.core = core  # type: ignore[attr-defined]
    embedding = ModuleType("embedding")
    embedding.is_for = lambda files: False  # type: ignore[attr-defined]
    generation = Importing("generation", notes, GenerationCore=FakeCore)
    monkeypatch.setitem(sys.modules, "mlx", package)
    monkeypatch.setitem(sys.modules, "mlx.core", core)
    monkeypatch.setitem(sys.modules, "tricorn.engines.mlx.embedding", embedding)
    monkeypatch.setattr("tricorn.engines.mlx.embedding", embedding, raising=False)
    monkeypatch.setitem(sys.modules, "tricorn.engines.mlx.generation", generation)
    monkeypatch.setattr(folder, "read", lambda path: None)
    return notes


def load(device: str) -> None:
    async def scenario() -> None:
        made = engine.MlxEngine()
        await made.load(ModelSpec("m", "", "mlx", "mlx", "a test", 0, 0, device=device))
        await made.unload()

    asyncio.run(scenario())


def test_the_cpu_is_set_before_mlx_lm_is_imported(notes: list[str]) -> None:
    """It makes its stream on the device that is the default then."""
    load("cpu")
    assert notes == ["cpu", "GenerationCore"]


@pytest.mark.parametrize("device", ["metal", ""])
def test_any_other_device_is_mlxs_choice(notes: list[str], device: str) -> None:
    """The GPU, where there is one."""
    load(device)
    assert notes == ["GenerationCore"]


def test_without_its_package_it_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which is said before a model is looked at."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ImportError, match="mlx_lm"):
        engine.create()


def test_importing_the_engine_imports_no_package_of_it() -> None:
    """Else the device would come too late."""
    assert "mlx_lm" not in Path(engine.__file__).read_text().split("def ")[0]
    assert not hasattr(engine, "GenerationCore")
