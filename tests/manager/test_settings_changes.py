"""What another reading of the settings comes to."""

from __future__ import annotations

from tricorn.config import ModelSettings, Settings
from tricorn.manager.settings_changes import LIVE, compare


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
    assert set(Settings.model_fields) >= LIVE
