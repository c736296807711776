"""Which model is loaded at start, and whether Tricorn is ready."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.manager.harness import settings_for

from tricorn.engines.spec import ModelSpec
from tricorn.errors import StartupError
from tricorn.manager.catalog.default_choice import pick_default, readiness
from tricorn.manager.protocol.model_info import ModelInfo
from tricorn.settings.config import ModelSettings


def model(state: Any, fault: str | None = None, name: str = "m") -> ModelInfo:
    return ModelInfo(name, 0, "fake", "", "fake", 0, state, fault=fault)


@pytest.mark.parametrize(
    ("models", "expected"),
    [
        ([], (False, "there is no model that could be served")),
        ([model("UNLOADED")], (True, "models are loaded when they are asked for")),
        ([model("LOADING")], (False, "the model m is loading")),
        ([model("READY")], (True, "ready")),
        ([model("FAILED", "broken")], (False, "broken")),
        ([model("FAILED", "broken"), model("READY", name="n")], (True, "ready")),
        ([model("UNLOADED", "broken")], (False, "there is no model that could be served")),
    ],
)
def test_readiness(models: list[ModelInfo], expected: tuple[bool, str]) -> None:
    """Ready is who could answer a request now; otherwise the reason is given."""
    assert readiness(models, "m") == expected


def spec(name: str, fault: str | None = None) -> ModelSpec:
    return ModelSpec(name, "", "fake", "fake", "", 0, 0, fault=fault)


def test_default_model(tmp_path: Path) -> None:
    """The wish counts, else the first healthy one; a wish that can't be met ends the start."""
    specs = {"a": spec("a", "broken"), "b": spec("b"), "c": spec("c")}
    assert pick_default(settings_for(tmp_path), specs) == "b"
    assert pick_default(settings_for(tmp_path), {}) is None
    assert pick_default(settings_for(tmp_path, default_model="c"), specs) == "c"
    named = specs | {"c": msgspec.structs.replace(specs["c"], aliases=("small",))}
    assert pick_default(settings_for(tmp_path, default_model="small"), named) == "c"
    with pytest.raises(StartupError, match="broken"):
        pick_default(settings_for(tmp_path, default_model="a"), specs)
    with pytest.raises(StartupError, match="'d' does not exist; there are: a, b, c"):
        pick_default(settings_for(tmp_path, default_model="d"), specs)


def test_a_cached_model_is_not_loaded_unasked(tmp_path: Path) -> None:
    """The Hugging Face cache was filled for others too; a name, or the settings, ask for one."""
    cached = msgspec.structs.replace(spec("a"), path=str(tmp_path / "hub/models--a/snapshots/1"))
    settings = settings_for(tmp_path, hf_hub_cache=tmp_path / "hub", hf_cache=True)
    assert pick_default(settings, {"a": cached, "b": spec("b")}) == "b"
    assert pick_default(settings, {"a": cached}) is None
    named = settings.model_copy(update={"models": {"a": ModelSettings.model_validate({})}})
    assert pick_default(named, {"a": cached}) == "a"
