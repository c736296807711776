"""Tests of `manager.desk.overrides`: what stands over the settings, and what of it is kept."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tricorn.errors import InvalidRequest
from tricorn.manager.desk.overrides import Overrides, checked, over
from tricorn.settings.config import Settings
from tricorn.settings.model_settings import ModelDefaults, ModelSettings


class Kept(msgspec.Struct):
    kind: str
    body: dict[str, Any]


class Keeper:
    """What is found there at the start."""

    def __init__(self, **kept: Kept) -> None:
        self.kept = {f"{one.kind}:{name}": one for name, one in kept.items()}

    def desired(self) -> dict[str, Kept]:
        return self.kept

    def put_desired(self, name: str, kind: str, body: dict[str, Any]) -> None:
        self.kept[name] = Kept(kind, body)

    def drop_desired(self, name: str) -> bool:
        return self.kept.pop(name, None) is not None

    async def saved(self) -> None:
        """It is, at once."""


def entry(**given: Any) -> ModelSettings:
    return ModelSettings.model_validate(given)


def test_options_go_before_the_entry() -> None:
    """Name by name, engine_args too; a path takes the place of a hub id."""
    own = entry(ttl=60, engine_args={"a": 1, "b": 2}, repo="org/name")
    merged = over(own, {"context_length": 64, "engine_args": {"b": 3}, "path": "/m.gguf"})
    assert (merged.ttl, merged.context_length, merged.repo) == (60, 64, None)
    assert merged.engine_args == {"a": 1, "b": 3}


def test_what_is_kept_is_there_again() -> None:
    """Both kinds; what nobody knows is left alone."""
    keeper = Keeper(
        a=Kept("options", {"context_length": 64}),
        b=Kept("instance", {"settings": {"engine": "fake"}, "model": "a"}),
        c=Kept("of a newer version", {}),
    )
    overrides = Overrides(keeper)
    entries = overrides.entries(Settings(models={"a": entry(ttl=60)}))
    assert {name: (one.ttl, one.context_length, one.engine) for name, one in entries.items()} == {
        "a": (60, 64, None),
        "b": (None, None, "fake"),
    }
    overrides.drop_instance("b")
    overrides.set_options("a", None)
    assert "options:a" in keeper.kept
    overrides.keep_options("a")
    assert list(keeper.kept) == ["of a newer version:c"]


@pytest.mark.parametrize(
    ("given", "defaults"),
    [
        ({"no_such_setting": 1}, {}),
        ({"gpus": [0]}, {"env": {"CUDA_VISIBLE_DEVICES": "1"}}),
    ],
)
def test_what_cannot_be_used_any_more_does_no_harm(
    given: dict[str, Any], defaults: dict[str, Any]
) -> None:
    """Of another version, or at odds with settings that have changed: the settings hold alone."""
    overrides = Overrides(Keeper(a=Kept("options", given), b=Kept("options", {"ttl": 5})))
    settings = Settings(
        models={"a": entry(ttl=60)}, model_defaults=ModelDefaults.model_validate(defaults)
    )
    entries = overrides.entries(settings)
    assert {name: one.ttl for name, one in entries.items()} == {"a": 60, "b": 5}


def test_checked_names_the_field() -> None:
    with pytest.raises(InvalidRequest, match="context_length") as refused:
        checked(None, {"context_length": 1}, ModelDefaults(), lambda name: f"params.{name}")
    assert refused.value.param == "params.context_length"
