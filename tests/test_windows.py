"""tricorn.windows, which runs on Windows only: here, that it fits Windows' own modules, and that
nobody else reaches for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import tricorn

PACKAGE = Path(tricorn.__file__).parent


def test_types() -> None:
    """Each name that it uses is there on Windows, with these arguments."""
    command = [sys.executable, "-m", "mypy", "--platform", "win32", "--follow-imports", "silent"]
    checked = subprocess.run(
        [*command, str(PACKAGE / "windows.py")],
        cwd=PACKAGE.parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout


def test_nobody_else_reaches_for_it() -> None:
    """It is imported below a look at the platform, by whoever imports it."""
    users = [
        (path, lines, number)
        for path in PACKAGE.rglob("*.py")
        for lines in [path.read_text(encoding="utf-8").splitlines()]
        for number, line in enumerate(lines)
        if line.strip() == "from tricorn import windows"
    ]
    assert len(users) >= 5
    for path, lines, number in users:
        before = [line for line in lines[:number] if not line.startswith((" ", ")")) and line]
        assert before[-1] == 'if sys.platform == "win32":', path


@pytest.mark.skipif(sys.platform == "win32", reason="is for the others")
def test_it_says_so() -> None:
    """Imported elsewhere it fails at once, not in the middle of something."""
    ended = subprocess.run(
        [sys.executable, "-c", "import tricorn.windows"],
        env={"PYTHONPATH": str(PACKAGE.parent)},
        capture_output=True,
        check=False,
    )
    assert ended.returncode == 1
