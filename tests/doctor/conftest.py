"""A place to look at."""

from __future__ import annotations

from pathlib import Path

import pytest

from tricorn.place import Place, from_settings
from tricorn.settings.config import Settings


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A source folder with settings, nothing in it yet."""
    (tmp_path / "run.py").touch()
    (tmp_path / "models").mkdir()
    settings = Settings(
        model_base_path=tmp_path / "models",
        data_dir=tmp_path / "data",
        log_dir=tmp_path / "logs",
        engines_dir=tmp_path / "engines",
        run_dir=tmp_path / "run",
    )
    return from_settings(settings, tmp_path)
