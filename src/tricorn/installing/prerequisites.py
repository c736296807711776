"""What an install needs of the machine: a compiler, room on the disk. Standard library only."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tricorn.installing.install_faults import InstallError


def has_compiler() -> bool:
    """Whether a C and a C++ compiler are there to be run."""
    if sys.platform == "win32":
        # Windows itself spells it so.
        installer = os.environ.get("ProgramFiles(x86)", r"C:\Program Files (x86)")  # noqa: SIM112
        studio = Path(installer) / "Microsoft Visual Studio/Installer/vswhere.exe"
        return studio.exists() or shutil.which("cl") is not None
    if sys.platform == "darwin":
        # /usr/bin/cc is always there, and without the tools only asks to install them.
        asked = subprocess.run(["xcode-select", "-p"], capture_output=True, check=False)
        return asked.returncode == 0
    c = os.environ.get("CC", "").split()[:1] or ["cc", "gcc", "clang"]
    cxx = os.environ.get("CXX", "").split()[:1] or ["c++", "g++", "clang++"]
    return any(map(shutil.which, c)) and any(map(shutil.which, cxx))


def existing(folder: Path) -> Path:
    """The folder itself, or the nearest one above it that is there."""
    folder = folder.absolute()
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder


NEARLY_FULL_BYTES = 20_000_000
"""With less, no environment can be made."""


def is_full(folder: Path) -> bool:
    """Whether the disk of `folder` has next to nothing left."""
    return shutil.disk_usage(existing(folder)).free < NEARLY_FULL_BYTES


def require_space(folder: Path, needed: int, what: str) -> None:
    """InstallError if the disk of `folder` has less than `needed` bytes free for `what`."""
    folder = existing(folder)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise InstallError(
            f"{what} needs {needed / 1e9:.1f} GB of disk space and {folder} has {free / 1e9:.1f} "
            "GB left: make room and run the same command again"
        )
