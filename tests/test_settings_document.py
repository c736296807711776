"""docs/configuration.md says what the settings are.

With WRITE_CONFIGURATION=1 in the environment its tables are written anew.
"""

from __future__ import annotations

import os

from tests import settings_document

from tricorn.settings.config import Settings
from tricorn.settings.file import SECTIONS


def test_the_document_is_current() -> None:
    """Every setting is there with its default and its meaning."""
    if os.environ.get("WRITE_CONFIGURATION"):
        settings_document.write()
    assert settings_document.current() == settings_document.text()


def test_every_setting_has_one_section() -> None:
    """But for the models, which have a section of their own."""
    placed = [name for names in SECTIONS.values() for name in names]
    assert len(placed) == len(set(placed))
    assert set(placed) == set(Settings.model_fields) - {"models", "model_defaults"}
    assert not set(SECTIONS) & set(Settings.model_fields)
