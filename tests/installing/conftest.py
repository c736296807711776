"""An environment to be made, offline: its requirement file is empty."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.installing.quick_pip import QuickPip

from tricorn.installing import package_tools
from tricorn.installing.environment_state import Environment


@pytest.fixture
def spoken() -> list[str]:
    """What the user was told."""
    return []


@pytest.fixture
def wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Environment:
    """An environment without packages, made by pip's way and without pip in it: half a second."""
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("# nothing\n", encoding="utf-8")
    monkeypatch.setattr(package_tools, "choose", QuickPip)
    return Environment(tmp_path / "env", [requirements], name="probe", log_dir=tmp_path / "logs")
