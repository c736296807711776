"""docs/security.md: each threat has a test that is there, and settings that exist."""

from __future__ import annotations

import re
from pathlib import Path

from tricorn.settings.config import Settings

PROJECT = Path(__file__).parents[1]
TEXT = (PROJECT / "docs" / "security.md").read_text(encoding="utf-8")
ROWS = [line for line in TEXT.splitlines() if line.startswith("| ") and "---" not in line]
THREATS = [row.strip("| ").split(" | ") for row in ROWS if not row.startswith("| threat")]


def test_every_threat_has_its_test() -> None:
    """Three cells, the last of which names files or folders of tests."""
    assert len(THREATS) > 30
    for cells in THREATS:
        assert len(cells) == 3, cells
        named = re.findall(r"`(tests/[^`]+)`", cells[2])
        assert named, cells
        for path in named:
            assert (PROJECT / path).exists(), path


def test_settings_are_there() -> None:
    """Names in capitals are those of settings."""
    known = {name.upper() for name in Settings.model_fields}
    named = set(re.findall(r"`([A-Z]+(?:_[A-Z]+)+)(?:=\w+)?`", TEXT))
    assert named
    assert named - {"SCRIPT_NAME"} <= known
