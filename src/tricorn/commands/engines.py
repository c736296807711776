"""`tricorn engines ls | install | remove`, and the same behind run.py. Standard library only."""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tricorn.installing import environment_state, environments, installed_packages, installer
from tricorn.installing.engine_installs import ENGINES, Machine
from tricorn.installing.environment_state import Environment
from tricorn.installing.install_faults import InstallError
from tricorn.installing.long_commands import Say
from tricorn.place import Place

WORKER_NEEDS = ("msgspec", "structlog", "jinja2")
"""What an engine worker imports besides its engine."""


@dataclass(frozen=True)
class Row:
    """One engine in `engines ls`."""

    name: str
    version: str
    size: str
    where: str
    state: str
    """Whether it can be used here, and if not, why."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """`ls`, `install NAME`, `remove NAME`."""
    parser.add_argument("--config", type=Path, help="settings file; default: ./tricorn.yaml")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("ls", help="the engines there are, and which can be used here")
    install = actions.add_parser("install", help="install an engine into its own environment")
    install.add_argument("name", choices=sorted(ENGINES), metavar="NAME", help=_names())
    install.add_argument("--reinstall", action="store_true", help="make it anew")
    remove = actions.add_parser("remove", help="delete an engine's environment")
    remove.add_argument("name", choices=sorted(ENGINES), metavar="NAME", help=_names())
    remove.add_argument("--yes", action="store_true", help="do not ask")


def _names() -> str:
    return ", ".join(sorted(ENGINES))


def run(arguments: argparse.Namespace, place: Place, say: Say) -> int:
    """Do what `add_arguments` parsed; the exit code. InstallError says what cannot be done."""
    if arguments.action == "ls":
        return list_engines(place, say)
    if arguments.action == "install":
        return install(arguments.name, place, say, reinstall=arguments.reinstall)
    return remove(arguments.name, place, say, ask=None if arguments.yes else confirm)


# --- ls -------------------------------------------------------------------------------------------


def list_engines(place: Place, say: Say) -> int:
    """Print a table with a row an engine."""
    here = installer.machine(device=place.device)
    rows = [row(name, place, here) for name in ENGINES]
    columns = [("ENGINE", "VERSION", "SIZE", "WHERE", "USABLE HERE")]
    columns += [(r.name, r.version, r.size, r.where, r.state) for r in rows]
    widths = [max(len(line[index]) for line in columns) for index in range(4)]
    for line in columns:
        cells = [cell.ljust(width) for cell, width in zip(line, widths, strict=False)]
        say("  ".join([*cells, line[4]]))
    return 0


def row(name: str, place: Place, here: Machine) -> Row:
    """What there is to say of one engine."""
    engine = ENGINES[name]
    wanted = engine_environment(name, place, here)
    reason = installer.why_impossible(name, here)
    found = state(wanted)
    version = installed_packages.version(wanted.path, engine.packages)
    if found == "own" and version is None:
        found = "half"  # somebody is still filling it
    if found == "absent":
        if importlib.util.find_spec(engine.module) is not None:
            return Row(name, "?", "-", sys.prefix, "yes, as part of this environment")
        if reason is not None:
            return Row(name, "-", "-", "-", f"no: {reason}")
        install = f"{place.command} engines install {name}"
        return Row(name, "-", "-", "-", f"not installed; {install}")
    words = {
        "whole": "yes",
        "own": f"yes, made by hand; {place.command} engines install {name} completes it",
        "outdated": f"to be renewed: {place.command} engines install {name}",
        "closed": "no: this user may not run its Python",
        "half": f"no: the install is not finished; {place.command} engines install {name}",
    }[found]
    if reason is not None:
        words = f"no: {reason}"
    size = f"{installed_packages.size_bytes(wanted.path) / 1e6:.0f} MB"
    return Row(name, version or "-", size, str(wanted.path), words)


def engine_environment(name: str, place: Place, here: Machine | None) -> Environment:
    """The environment of an engine in this place."""
    return installer.engine_environment(
        name,
        place.engines_dir,
        project=place.project,
        log_dir=place.log_dir,
        here=here,
        device=place.device,
    )


def state(wanted: Environment) -> environment_state.State:
    """As `environment_state.state`; without its list to compare with, what is there counts."""
    try:
        return environment_state.state(wanted)
    except InstallError:
        return "own"


# --- install --------------------------------------------------------------------------------------


def install(name: str, place: Place, say: Say, *, reinstall: bool = False) -> int:
    """Install an engine and see that it can be imported."""
    wanted = engine_environment(name, place, None)
    if not wanted.requirements[0].parent.is_dir():
        raise InstallError(
            "engines are installed from Tricorn's source folder; here it is a package: in the"
            f" folder that it was installed from, pip install '.[{name}]'"
        )
    if reinstall and state(wanted) != "absent":
        refuse_in_use(name, wanted)
        environments.remove(wanted, say)
        # What was there may have been kept although it is not for the device that is wanted.
        wanted = engine_environment(name, place, None)
    python = installer.install_engine(wanted, say, device=place.device)
    fault = import_fault(name, python)
    if fault is not None:
        raise InstallError(
            f"{name} was installed but cannot be imported ({fault}); to make it anew: "
            f"{place.command} engines install {name} --reinstall"
        )
    version = installed_packages.version(wanted.path, ENGINES[name].packages) or ""
    say(f"{ENGINES[name].title} {version} is ready in {wanted.path}")
    return 0


def import_fault(name: str, python: Path) -> str | None:
    """The last words of a failed import of the engine in its own Python; None where it works."""
    modules = ", ".join((*WORKER_NEEDS, ENGINES[name].module))
    done = subprocess.run(
        [str(python), "-I", "-c", f"import {modules}"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode == 0:
        return None
    lines = done.stderr.strip().splitlines()
    return lines[-1] if lines else f"exit code {done.returncode}"


# --- remove ---------------------------------------------------------------------------------------


def confirm(question: str) -> bool:
    """Ask on the terminal. InstallError where there is none to ask on."""
    if not sys.stdin.isatty():
        raise InstallError("there is no terminal to ask on: say --yes to remove it unasked")
    return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")


def remove(name: str, place: Place, say: Say, *, ask: Callable[[str], bool] | None) -> int:
    """Delete an engine's environment, unless a process runs in it; 1 where the user declines."""
    wanted = engine_environment(name, place, None)
    if not wanted.path.exists():
        say(f"{name} is not installed in {place.engines_dir}: nothing to remove")
        return 0
    refuse_in_use(name, wanted)
    size = installed_packages.size_bytes(wanted.path) / 1e6
    if ask is not None and not ask(f"Remove {wanted.path} ({size:.0f} MB)?"):
        say("Nothing was removed")
        return 1
    environments.remove(wanted, say)
    say(f"Removed {wanted.path}, {size:.0f} MB")
    return 0


def refuse_in_use(name: str, wanted: Environment) -> None:
    """InstallError where a process runs the environment's Python, as far as that can be known."""
    users: Sequence[int] = installed_packages.users(wanted.path) or ()
    if users:
        raise InstallError(
            f"{name} is in use (process {', '.join(map(str, users))}): stop Tricorn first"
        )
