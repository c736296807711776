"""Machines for the tests: fixture folders instead of /, canned commands instead of programs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tricorn.hardware.probe import Machine


def write(root: Path, files: Mapping[str, str]) -> Path:
    """Put the files below `root`."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


class Commands:
    """Programs and what they print, by their whole command line; others are missing."""

    def __init__(self, printed: Mapping[str, str]) -> None:
        self._printed = printed

    def __call__(self, *command: str) -> str | None:
        return self._printed.get(" ".join(command))


def machine(
    system: str | None,
    root: Path = Path("/nonexistent"),
    commands: Mapping[str, str] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Machine:
    return Machine(system, root, Commands(commands or {}), environ or {})
