"""pip's way of making environments, without what takes long."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tricorn.installing import package_tools
from tricorn.installing.environment_state import Environment


class QuickPip(package_tools.Pip):
    """Makes environments without pip, and notes installs in a file instead of doing them."""

    def create(self, path: Path) -> list[str]:
        return [*super().create(path), "--without-pip"]

    def install(self, python: Path, arguments: object, *, verbose: bool) -> list[str]:
        note = f"open({str(python.parent / 'installs')!r}, 'a').write('once\\n')"
        return [str(python), "-c", note]


def installs(wanted: Environment) -> int:
    return (wanted.python.parent / "installs").read_text().count("once")


def runs(python: Path) -> bool:
    return subprocess.run([python, "-c", "pass"], check=False).returncode == 0


class Asked(QuickPip):
    """Notes what it is to install; `answers` are the exit words of one install after the other."""

    def __init__(self, *answers: str) -> None:
        self.commands: list[list[str]] = []
        self.answers = list(answers)

    def install(self, python: Path, arguments: object, *, verbose: bool) -> list[str]:
        assert isinstance(arguments, list)
        self.commands.append(arguments)
        return [str(python), "-c", f"raise SystemExit({self.answers.pop(0)!r} or 0)"]
