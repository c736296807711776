"""What lies in a virtual environment, and who runs it; nothing of it is started or imported.

Standard library only.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path


def version(environment: Path, packages: Sequence[str]) -> str | None:
    """The version of the first of `packages` that is installed in the folder `environment`."""
    for package in packages:
        for info in _infos(environment, package):
            return info.name.removesuffix(".dist-info").partition("-")[2]
    return None


def _infos(environment: Path, package: str) -> Iterator[Path]:
    name = re.sub(r"[-_.]+", "_", package).lower()
    for site in ("lib/python3*/site-packages", "Lib/site-packages"):
        yield from environment.glob(f"{site}/{name}-*.dist-info")


def size_bytes(folder: Path) -> int:
    """What the files below take on the disk; those that vanish meanwhile are passed over."""
    total = 0
    stack = [folder]
    while stack:
        with contextlib.suppress(OSError), os.scandir(stack.pop()) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    if entry.is_dir(follow_symlinks=False):
                        stack.append(Path(entry.path))
                    else:
                        total += entry.stat(follow_symlinks=False).st_size
    return total


def users(environment: Path) -> list[int] | None:
    """Processes that run the environment's Python, by their ids; None where that can't be known.

    A process is known by the path that it was started with: the interpreter itself is a link.
    """
    folder = f"{os.path.abspath(environment)}{os.sep}"
    found = _linux_commands() if sys.platform == "linux" else _listed_commands()
    if found is None:
        return None
    return sorted(pid for pid, command in found if command.startswith(folder))


def _linux_commands() -> Iterator[tuple[int, str]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                command = (entry / "cmdline").read_bytes().partition(b"\0")[0]
                yield int(entry.name), os.fsdecode(command)


def _listed_commands() -> Iterator[tuple[int, str]] | None:
    ps = shutil.which("ps")
    if ps is None:
        return None
    listing = subprocess.run(
        [ps, "-axo", "pid=,args="], capture_output=True, text=True, errors="replace", check=False
    )
    rows = (line.split(None, 1) for line in listing.stdout.splitlines())
    return ((int(row[0]), row[1]) for row in rows if len(row) == 2)
