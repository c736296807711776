"""What a virtual environment is to contain, and whether it does: its stamp and its marker.

    absent ──ensure──► half (marker file) ──all steps done──► whole (stamp, no marker)
                          ▲        │ interrupted, failed             │ requirements or Python
                          └────────┴─── next ensure starts afresh ◄──┘ changed, folder moved

Standard library only: it runs before anything is installed.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tricorn.installing.install_faults import InstallError

FORMAT = 1
"""Raise it when environments made by older versions of this file must be made anew."""

MARKER = "tricorn-installing"


State = Literal["absent", "half", "closed", "own", "outdated", "whole"]
"""half: an install was interrupted, or its Python is gone; closed: this user may not run that; own:
made by somebody else, so that only its owner knows what is in it; outdated: made from other lists,
or for another Python or place."""


@dataclass(frozen=True)
class Environment:
    """What an environment is to contain."""

    path: Path
    requirements: Sequence[Path]
    editable_project: Path | None = None
    """A project with a `pyproject.toml`, installed so that its source stays where it is."""
    name: str = ""
    """For messages, the log and the stamp; empty: the folder's."""
    addition: bool = False
    """Adds to an environment that another `Environment` made, with a stamp of its own."""
    compiles: Sequence[str] = ()
    """Packages that come as source and need a C compiler, unless a ready wheel is at hand."""
    is_whole_list: bool = False
    """The requirements name every package; what those packages ask for beyond is left out."""
    fallback_index: str = ""
    """A package index to search too, should the configured ones lack a package."""
    excludes: Sequence[str] = ()
    """Packages that must not be in the same environment."""
    disk_bytes: int = 300_000_000
    """What the install needs at most while it runs."""
    log_dir: Path = Path("logs")

    @property
    def title(self) -> str:
        return self.name or self.path.name.lstrip(".")

    @property
    def python(self) -> Path:
        """Its interpreter. Absolute, the last link unresolved: a venv is found by this path."""
        folder = Path(os.path.abspath(self.path))
        return folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    @property
    def stamp(self) -> Path:
        return self.path / f"tricorn-{self.title}.json"

    @property
    def log(self) -> Path:
        return self.log_dir / f"install-{self.title}.log"


def fingerprint(environment: Environment) -> str:
    """Changes with anything that the install depends on. InstallError where a file is missing."""
    parts: list[str] = [
        str(FORMAT),
        platform.python_implementation(),
        f"{sys.version_info[0]}.{sys.version_info[1]}",
        sys.platform,
        platform.machine(),
    ]
    try:
        parts += [file.read_text(encoding="utf-8") for file in environment.requirements]
        if environment.editable_project is not None:
            # Only what an editable install takes from it; linter settings change more often.
            text = (environment.editable_project / "pyproject.toml").read_text(encoding="utf-8")
            tables = tomllib.loads(text)
            used = {name: tables.get(name) for name in ("project", "build-system")}
            parts.append(json.dumps(used, sort_keys=True))
        if environment.is_whole_list:
            parts.append("no further packages")
    except OSError as error:
        raise InstallError(
            f"{error.filename} cannot be read ({error.strerror}): get Tricorn's folder again, whole"
        ) from error
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def has_python(environment: Environment) -> bool:
    """InstallError where there is one that this user may not run: of a folder of somebody else."""
    try:
        environment.python.stat()
    except PermissionError as error:
        raise InstallError(": ".join(closed(environment))) from error
    except OSError:
        return False
    return True


def closed(environment: Environment) -> tuple[str, str]:
    """What is wrong with one whose state is `closed`, and what mends it."""
    return (
        f"{environment.path} was made with {os.path.realpath(environment.python)}, which this user "
        "may not run",
        "whoever made it has to remove it and make it with a Python that all users may run (such "
        "as /usr/bin/python3)",
    )


def is_whole(environment: Environment) -> bool:
    """Whether it is completely installed, as wanted, here. Takes about a millisecond. InstallError
    as of `has_python`."""
    if (environment.path / MARKER).exists() or not has_python(environment):
        return False
    return _read_stamp(environment) == wanted_stamp(environment)


def state(environment: Environment) -> State:
    """What lies at its path. Takes about a millisecond."""
    if (environment.path / MARKER).exists():
        return "half"
    try:
        there = has_python(environment)
    except InstallError:
        return "closed"
    if not there:
        # A link to a Python that was removed, or a folder of something else.
        return "half" if environment.path.is_dir() and any(environment.path.iterdir()) else "absent"
    if _read_stamp(environment) is None:
        return "own"
    return "whole" if is_whole(environment) else "outdated"


def wanted_stamp(environment: Environment) -> dict[str, str]:
    """What the stamp of a whole install says."""
    project = environment.editable_project
    return {
        "fingerprint": fingerprint(environment),
        "path": str(environment.path.resolve()),
        "project": str(project.resolve()) if project is not None else "",
    }


def other_owner(environment: Environment) -> Path | None:
    """The project that it was made for, where that is another one and still there."""
    stamp = _read_stamp(environment)
    project = stamp.get("project") if isinstance(stamp, dict) else None
    if not project or project == wanted_stamp(environment)["project"]:
        return None
    return Path(project) if Path(project).exists() else None


def _read_stamp(environment: Environment) -> object:
    try:
        return json.loads(environment.stamp.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
