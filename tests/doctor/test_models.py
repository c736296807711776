"""Broken model files are named; none is said too."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.model_facts.gguf_files import gguf

from tricorn.doctor import models
from tricorn.doctor.check import Check
from tricorn.hardware.facts import Facts
from tricorn.place import Place

WHOLE = gguf()
LINUX = Facts(os="linux", arch="x86_64")


def found(place: Place, **settings: object) -> list[Check]:
    assert place.settings is not None
    changed = place.settings.model_copy(update=settings)
    return list(models.models(replace(place, settings=changed), LINUX))


def test_an_empty_folder_is_said(place: Place) -> None:
    """The first start fills it."""
    (check,) = found(place)
    assert check.state == "warn"
    assert "the first start fetches" in check.what


def test_broken_files_are_named(place: Place) -> None:
    """With the fault; whole ones are listed."""
    (place.models_dir / "good.gguf").write_bytes(WHOLE)
    (place.models_dir / "torn.gguf").write_bytes(b"GGUF")
    torn, good = found(place)
    assert torn.state == "warn"
    assert torn.what == "torn: the file is cut off within its header"
    assert str(place.models_dir / "torn.gguf") in torn.fix
    assert (good.state, good.what) == ("ok", "1 to serve: good")


def test_a_broken_default_model_fails(place: Place) -> None:
    """Nothing could be served at start."""
    (place.models_dir / "torn.gguf").write_bytes(b"GGUF")
    (check,) = found(place, default_model="torn")
    assert check.state == "fail"


@pytest.mark.parametrize(
    ("name", "states"), [("nope", ["fail", "ok"]), ("SmolLM2-135M-Instruct.Q4_1", ["ok"])]
)
def test_a_missing_default_model_fails(place: Place, name: str, states: list[str]) -> None:
    """Unless it is the one that the start fetches."""
    (place.models_dir / "good.gguf").write_bytes(WHOLE)
    assert [check.state for check in found(place, default_model=name)] == states


def test_many_broken_files_are_counted(place: Place) -> None:
    """The table stays readable."""
    for number in range(9):
        (place.models_dir / f"{number}.gguf").write_bytes(b"")
    checks = found(place)
    assert len(checks) == models.SHOWN + 1
    assert checks[-1].what == "4 more are broken"


def test_without_settings_nothing_is_said(place: Place) -> None:
    """The catalog needs Tricorn's packages."""
    assert list(models.models(replace(place, settings=None), LINUX)) == []
