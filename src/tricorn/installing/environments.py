"""Virtual environments from pinned requirements: made when missing, mended when half-done, removed.

Standard library only: it runs before anything is installed. Never touches the system's Python.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tricorn.installing import (
    file_lock,
    install_faults,
    installed_packages,
    long_commands,
    package_tools,
    prerequisites,
)
from tricorn.installing.environment_state import (
    MARKER,
    Environment,
    has_python,
    is_whole,
    other_owner,
    wanted_stamp,
)
from tricorn.installing.install_faults import InstallError
from tricorn.installing.long_commands import Say


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
        reason = install_faults.of_files(error)
        raise InstallError(f"{environment.title} cannot be installed: {reason}") from error
    return environment.python


def remove(environment: Environment, say: Say) -> None:
    """Delete it. InstallError where something else than an environment lies there."""
    path = environment.path
    lock_file = path.with_name(path.name + ".lock")
    try:
        with file_lock.hold(lock_file, f"installing {environment.title}", say):
            ours = environment.stamp.exists() or (path / MARKER).exists()
            if not ours and not (path / "pyvenv.cfg").exists():
                raise InstallError(f"{path} holds something that is no virtual environment")
            # First the mark: what is left of an interrupted removal is never taken for whole.
            (path / MARKER).write_text("", encoding="utf-8")
            _clear(path)
            (path / MARKER).unlink()
            if path.is_symlink():
                path.unlink()
            else:
                path.rmdir()
    except OSError as error:
        reason = install_faults.of_files(error)
        raise InstallError(f"{path} cannot be removed: {reason}") from error


# --- one install --------------------------------------------------------------------------------


def _install(environment: Environment, say: Say, lock: int | None) -> None:
    """The slow way, under the lock: remove what cannot be kept, make, fill, stamp."""
    title = environment.title
    prerequisites.require_space(environment.path, environment.disk_bytes, f"installing {title}")
    if environment.compiles:
        temporary = Path(tempfile.gettempdir())
        prerequisites.require_space(temporary, environment.disk_bytes, f"compiling {title}")
    marker = environment.path / MARKER
    if environment.addition:
        if marker.exists() or not has_python(environment):
            raise InstallError(f"{environment.path} is not whole: run the same command again")
        anew = False
    else:
        anew = _must_be_made_anew(environment)
    if not anew:
        _refuse_what_excludes(environment)

    tool = package_tools.choose()
    ready_only = [name for name in environment.compiles if not prerequisites.has_compiler()]
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
                # venv keeps to itself what its pip said.
                places = (environment.path, Path(tempfile.gettempdir()))
                if reason == install_faults.UNKNOWN and any(map(prerequisites.is_full, places)):
                    reason = install_faults.disk_is_full()
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
        if environment.is_whole_list:
            arguments.append("--no-deps")
        if environment.compiles and os.environ.get("CMAKE_ARGS"):
            # What was compiled before, with other arguments, is in the cache under the same name.
            arguments.append("--no-cache-dir")
        verbose = bool(environment.compiles)
        command = tool.install(environment.python, arguments, verbose=verbose)
        try:
            step(command, what)
        except InstallError as error:
            index, cause = environment.fallback_index, error.__cause__
            output = cause.output if isinstance(cause, long_commands.CommandFailed) else ""
            if not index or not install_faults.lacks_package(output):
                raise
            say(f"  a package is not where packages are fetched from: searching {index} too")
            step([*command, *tool.searching_also(index)], what)
    if environment.editable_project is not None:
        project = ["--no-deps", "--no-build-isolation", "-e", str(environment.editable_project)]
        step(tool.install(environment.python, project, verbose=False), "installing the project")

    partial = environment.stamp.with_suffix(".partial")
    partial.write_text(json.dumps(wanted_stamp(environment)), encoding="utf-8")
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
    if path.is_symlink() and (owner := other_owner(environment)) is not None:
        raise InstallError(
            f"{path} is a link to the environment of another installation, {owner}: remove the "
            "link and run the same command again"
        )
    if (path / MARKER).exists() or environment.stamp.exists() or not any(path.iterdir()):
        return True
    config = path / "pyvenv.cfg"
    if not config.exists():
        raise InstallError(
            f"{path} holds something that is no virtual environment: move it away and run the "
            "same command again"
        )
    return not has_python(environment) or not _same_python(config)


def _refuse_what_excludes(environment: Environment) -> None:
    """InstallError where a package is there that the wanted ones cannot be beside."""
    for package in environment.excludes:
        if installed_packages.version(environment.path, [package]) is not None:
            raise InstallError(
                f"{environment.path} was made by hand and has {package}, beside which "
                f"{environment.title} cannot be installed: move the folder away and run the same "
                "command again"
            )


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
