"""What the examples say is what the settings are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from tricorn.engines.llamacpp import options as llamacpp
from tricorn.settings.config import Settings
from tricorn.settings.loading import load_settings

PROJECT = Path(__file__).resolve().parents[1]
EXAMPLE = PROJECT / ".env.example"


def listed() -> dict[str, str]:
    """The example's names and defaults."""
    found = re.findall(r"^# ([A-Z][A-Z0-9_]*)=(.*)$", EXAMPLE.read_text(encoding="utf-8"), re.M)
    names = [name for name, _ in found]
    assert len(names) == len(set(names))
    return dict(found)


def test_the_example_names_every_setting() -> None:
    """No setting is missing and none is made up."""
    assert set(listed()) == {name.upper() for name in Settings.model_fields}


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_the_example_shows_the_default(name: str) -> None:
    """Uncommenting a line changes nothing."""
    field = Settings.model_fields[name]
    default = field.get_default(call_default_factory=True)
    shown = listed()[name.upper()]
    if default is None:
        assert shown == ""
    elif isinstance(default, dict | BaseModel):
        assert shown == "{}"
    elif isinstance(default, list):
        assert [part for part in shown.split(",") if part] == default
    else:
        assert getattr(Settings(**{name: shown}), name) == default


def test_everything_in_it_is_commented_out() -> None:
    """A plain copy to .env leaves all defaults in force."""
    lines = EXAMPLE.read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if line and not line.startswith("#")] == []


def test_the_yaml_example_loads(tmp_path: Path) -> None:
    """Every name in it is known."""
    settings = load_settings(config_file=PROJECT / "tricorn.example.yaml", directory=tmp_path)
    assert settings.max_concurrent_models == 2
    (model,) = settings.models.values()
    assert model.options(settings.options()).max_num_seqs == 8
    assert llamacpp.parse(model.options(settings.options()), cores=1).n_batch == 512
