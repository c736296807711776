"""Where Tricorn is, before and after its settings can be read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tricorn.place import Place, from_environment, from_settings
from tricorn.settings.config import Settings


def test_the_defaults_are_the_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A place that knows nothing says the same as settings that nobody changed."""
    for name in (
        "HOST",
        "PORT",
        "MODEL_BASE_PATH",
        "DATA_DIR",
        "LOG_DIR",
        "ENGINES_DIR",
        "DEVICE_TYPE",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    settings = Settings()
    known = from_settings(settings, tmp_path)
    assert known == Place(project=tmp_path, settings=settings)


def test_the_environment_names_folders() -> None:
    """As it does for the settings; what is no port is left for them to complain about."""
    found = from_environment({"PORT": "81", "MODEL_BASE_PATH": "/m", "HOST": ""})
    assert (found.port, found.models_dir, found.host) == (81, Path("/m"), "127.0.0.1")
    assert from_environment({"PORT": "x"}).port == 8000
    assert from_environment({"DEVICE_TYPE": "cpu"}).device == "cpu"


def test_commands_are_named_as_the_user_calls_them(tmp_path: Path) -> None:
    """run.py in its source folder, else `tricorn`."""
    assert (Place(tmp_path).command, Place(tmp_path).start) == ("tricorn", "tricorn serve")
    (tmp_path / "run.py").touch()
    python = "python" if os.name == "nt" else "python3"
    assert Place(tmp_path).command == Place(tmp_path).start == f"{python} run.py"
