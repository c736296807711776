"""Virtual environments from pinned requirements: made when missing, mended when half-done.

    absent ──ensure──► INSTALLING (marker file) ──all steps done──► WHOLE (stamp, no marker)
                          ▲        │ interrupted, failed             │ requirements or Python
                          └────────┴─── next ensure starts afresh ◄──┘ changed, folder moved

Standard library only: it runs before anything is installed. Never touches the system's Python.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tricorn import file_lock, install_faults, long_commands, package_tools
from tricorn.long_commands import Say

FORMAT = 1
"""Raise it when environments made by older versions of this file must be made anew."""

MARKER = "tricorn-installing"


class InstallError(Exception):
    """Something cannot be installed; the text is a sentence for the user, with the fix."""


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
    except OSError as error:
        raise InstallError(
            f"{error.filename} cannot be read ({error.strerror}): get Tricorn's folder again, whole"
        ) from error
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def is_whole(environment: Environment) -> bool:
    """Whether it is completely installed, as wanted, here. Takes about a millisecond."""
    if (environment.path / MARKER).exists() or not environment.python.exists():
        return False
    return _read_stamp(environment) == _wanted_stamp(environment)


def ensure(environment: Environment, say: Say) -> Path:
    """Make or mend it where needed and give its interpreter. InstallError says what to do.

    Of several processes at once one works, the others wait for it.
    """
    if is_whole(environment):
        return environment.python
    try:
        environment.path.parent.mkdir(parents=True, exist_ok=True)
        lock_file = environment.path.with_name(environment.path.name + ".lock")
        with file_lock.hold(lock_file, f"installing {environment.title}", say) as lock:
            if not is_whole(environment):
                _install(environment, say, lock)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise InstallError(install_faults.explain("No space left on device")) from error
        raise InstallError(f"{environment.title} cannot be installed: {error}") from error
    return environment.python


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


def require_space(folder: Path, needed: int, what: str) -> None:
    """InstallError if the disk of `folder` has less than `needed` bytes free for `what`."""
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise InstallError(
            f"{what} needs {needed / 1e9:.1f} GB of disk space and {folder} has {free / 1e9:.1f} "
            "GB left: make room and run the same command again"
        )


# --- one install --------------------------------------------------------------------------------


def _install(environment: Environment, say: Say, lock: int | None) -> None:
    """The slow way, under the lock: remove what cannot be kept, make, fill, stamp."""
    title = environment.title
    require_space(environment.path, environment.disk_bytes, f"installing {title}")
    if environment.compiles:
        temporary = Path(tempfile.gettempdir())
        require_space(temporary, environment.disk_bytes, f"compiling {title}")
    marker = environment.path / MARKER
    if environment.addition:
        if marker.exists() or not environment.python.exists():
            raise InstallError(f"{environment.path} is not whole: run the same command again")
        anew = False
    else:
        anew = _must_be_made_anew(environment)

    tool = package_tools.choose()
    ready_only = [name for name in environment.compiles if not has_compiler()]
    say(f"Installing {title} into {environment.path} with {tool.name}")
    environment.path.mkdir(exist_ok=True)
    marker.write_text("", encoding="utf-8")
    environment.stamp.unlink(missing_ok=True)
    environment.log.unlink(missing_ok=True)

    def step(command: Sequence[str], what: str) -> None:
        try:
            long_commands.run(
                command,
                what,
                say=say,
                log=environment.log,
                env=tool.environment(),
                keep_open=() if lock is None else (lock,),
            )
        except long_commands.CommandFailed as failure:
            if ready_only and install_faults.lacks_ready_wheel(failure.output):
                reason = (
                    f"no C compiler was found, which {title} needs to be built: "
                    + install_faults.COMPILER_FIX
                )
            else:
                reason = install_faults.explain(failure.output)
            raise InstallError(
                f"{what} failed: {reason} (everything it said is in {environment.log})"
            ) from failure

    if anew:
        _clear(environment.path)
        step(tool.create(environment.path), "making the environment")
    arguments = [word for file in environment.requirements for word in ("-r", str(file))]
    arguments += [word for name in ready_only for word in ("--only-binary", name)]
    what = f"installing {title}'s packages"
    if environment.compiles and not ready_only:
        say(
            "  the engine is compiled for this machine, about ten minutes on two cores; only once "
            f"(its words: {environment.log})"
        )
        what = f"building {title}"
    if environment.requirements:
        verbose = bool(environment.compiles)
        step(tool.install(environment.python, arguments, verbose=verbose), what)
    if environment.editable_project is not None:
        project = ["--no-deps", "--no-build-isolation", "-e", str(environment.editable_project)]
        step(tool.install(environment.python, project, verbose=False), "installing the project")

    partial = environment.stamp.with_suffix(".partial")
    partial.write_text(json.dumps(_wanted_stamp(environment)), encoding="utf-8")
    partial.replace(environment.stamp)
    marker.unlink()


def _must_be_made_anew(environment: Environment) -> bool:
    """Whether what lies at the path (if anything) can't be mended by installing into it.

    An environment without our stamp and marker is somebody's own: it is added to, not deleted.
    InstallError for a folder that is no environment at all.
    """
    path = environment.path
    if not path.exists():
        return True
    if not path.is_dir():
        raise InstallError(f"{path} is a file where an environment should be: move it away")
    if (path / MARKER).exists() or environment.stamp.exists() or not any(path.iterdir()):
        return True
    config = path / "pyvenv.cfg"
    if not config.exists():
        raise InstallError(
            f"{path} holds something that is no virtual environment: move it away and run the "
            "same command again"
        )
    return not environment.python.exists() or not _same_python(config)


def _same_python(config: Path) -> bool:
    pairs = (line.partition("=") for line in config.read_text(encoding="utf-8").splitlines())
    values = {name.strip(): value.strip() for name, _, value in pairs}
    version = values.get("version") or values.get("version_info") or ""
    return version.split(".")[:2] == [str(part) for part in sys.version_info[:2]]


def _clear(path: Path) -> None:
    """Empty the folder but for the marker; the folder itself may be a link to another disk."""
    for entry in path.iterdir():
        if entry.name == MARKER:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _wanted_stamp(environment: Environment) -> dict[str, str]:
    project = environment.editable_project
    return {
        "fingerprint": fingerprint(environment),
        "path": str(environment.path.resolve()),
        "project": str(project.resolve()) if project is not None else "",
    }


def _read_stamp(environment: Environment) -> object:
    try:
        return json.loads(environment.stamp.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
