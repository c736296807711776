"""What another reading of the settings comes to."""

from __future__ import annotations

from pathlib import Path

import tricorn
from tricorn.manager.lifecycle.settings_changes import GATEWAY, LIVE, compare
from tricorn.settings.config import ModelSettings, Settings


def test_what_can_change_does() -> None:
    """The rest stays as it is, and is named."""
    now = Settings(port=1, max_waiting=1)
    read = Settings(port=2, max_waiting=2, models={"m": ModelSettings.model_validate({})})
    found = compare(now, read)
    assert found.changed == ["max_waiting", "models"]
    assert found.needs_restart == ["port"]
    assert (found.settings.port, found.settings.max_waiting) == (1, 2)
    assert list(found.settings.models) == ["m"]


def test_nothing_has_changed() -> None:
    """What is read is what holds."""
    found = compare(Settings(port=1), Settings(port=1))
    assert (found.changed, found.needs_restart) == ([], [])


def test_names_are_settings() -> None:
    """A setting that was renamed is not lost."""
    assert set(Settings.model_fields) >= LIVE | GATEWAY
    assert not LIVE & GATEWAY


def test_a_new_gateway_takes_more_over() -> None:
    """What it reads itself; where it listens is the manager's."""
    now, read = Settings(port=1, workers=1), Settings(port=2, workers=2, max_waiting=2)
    found = compare(now, read, LIVE | GATEWAY)
    assert (found.changed, found.needs_restart) == (["max_waiting", "workers"], ["port"])
    assert (found.settings.workers, found.settings.port) == (2, 1)


def test_a_gateway_reads_what_it_takes_over() -> None:
    """Each of these names is used in the gateway's own modules, or by what it starts with."""
    package = Path(tricorn.__file__).parent
    files = [*(package / "gateway").rglob("*.py"), package / "settings" / "config.py"]
    source = "\n".join(file.read_text() for file in files)
    assert {name for name in GATEWAY if f".{name}" not in source} == set()
