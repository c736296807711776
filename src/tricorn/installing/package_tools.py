"""The two programs that fill a virtual environment: uv where it is installed, else venv and pip.

Only builds command lines and environments; running them is `environments.py`'s. Standard library
only.
"""

from __future__ import annotations

import ast
import importlib.util
import os
import shutil
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path

CHOICE = "TRICORN_INSTALLER"
"""Environment variable: `uv` or `pip`, to use that one whatever is installed."""

_PIP_NAMES = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "cert": "SSL_CERT_FILE",
    "proxy": "ALL_PROXY",
    "trusted-host": "UV_INSECURE_HOST",
    "timeout": "UV_HTTP_TIMEOUT",
    "default-timeout": "UV_HTTP_TIMEOUT",
}


class PackageTool(ABC):
    """Makes an empty environment and installs packages into it."""

    name: str

    @abstractmethod
    def create(self, path: Path) -> list[str]:
        """The command that makes a virtual environment of this Python in the folder `path`."""

    @abstractmethod
    def install(self, python: Path, arguments: Sequence[str], *, verbose: bool) -> list[str]:
        """The command that installs; `arguments` mean the same to pip and uv."""

    @abstractmethod
    def searching_also(self, index: str) -> list[str]:
        """Arguments of `install` that add a package index to the configured ones."""

    @abstractmethod
    def environment(self) -> dict[str, str]:
        """The process environment for those commands."""


class Pip(PackageTool):
    name = "pip"

    def create(self, path: Path) -> list[str]:
        return [sys.executable, "-I", "-m", "venv", str(path)]

    def install(self, python: Path, arguments: Sequence[str], *, verbose: bool) -> list[str]:
        options = ["--no-input", "--disable-pip-version-check", "--progress-bar", "off"]
        # With -v pip passes on what the compiler's build says: without, nothing for minutes.
        options += ["--verbose"] if verbose else []
        return [str(python), "-m", "pip", "install", *options, *arguments]

    def searching_also(self, index: str) -> list[str]:
        return ["--extra-index-url", index]

    def environment(self) -> dict[str, str]:
        return clean_environment()


class Uv(PackageTool):
    name = "uv"

    def __init__(self, program: str) -> None:
        self.program = program

    def create(self, path: Path) -> list[str]:
        options = ["--no-project", "--allow-existing", "--python", sys.executable]
        return [self.program, "venv", *options, str(path)]

    def install(self, python: Path, arguments: Sequence[str], *, verbose: bool) -> list[str]:
        options = ["--python", str(python)] + (["--verbose"] if verbose else [])
        return [self.program, "pip", "install", *options, *arguments]

    def searching_also(self, index: str) -> list[str]:
        # Not --index, which would replace what UV_INDEX names. And uv by default takes every
        # package that the added index knows from there alone.
        return ["--extra-index-url", index, "--index-strategy", "unsafe-best-match"]

    def environment(self) -> dict[str, str]:
        inherited = clean_environment()
        # What the user told uv itself goes before what pip is told.
        return {**uv_variables(pip_settings(inherited)), **inherited}


def choose() -> PackageTool:
    """uv when it is on PATH, else pip; TRICORN_INSTALLER decides otherwise."""
    wanted = os.environ.get(CHOICE, "")
    program = shutil.which("uv")
    if program is not None and wanted != "pip":
        return Uv(program)
    return Pip()


def clean_environment() -> dict[str, str]:
    """This process's environment without what would make another Python see foreign packages."""
    foreign = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "CONDA_PREFIX", "__PYVENV_LAUNCHER__"}
    kept = {name: value for name, value in os.environ.items() if name not in foreign}
    kept["PYTHONUNBUFFERED"] = "1"
    # pip's config may say `user` or `require-virtualenv`: neither fits an install into an own
    # environment.
    kept["PIP_USER"] = "0"
    kept["PIP_REQUIRE_VIRTUALENV"] = "0"
    return kept


def pip_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """How pip is configured, by files and PIP_* variables: option name → value.

    Empty where neither is set; only the variables where there is no pip to ask.
    """
    found: dict[str, str] = {}
    if importlib.util.find_spec("pip") is not None:
        listed = subprocess.run(
            [sys.executable, "-m", "pip", "config", "list"],
            env=dict(environment),
            capture_output=True,
            text=True,
            check=False,
        )
        found = parse_pip_config(listed.stdout)
    for name in _PIP_NAMES:
        value = environment.get("PIP_" + name.upper().replace("-", "_"))
        if value:
            found[name] = value
    return found


def parse_pip_config(listing: str) -> dict[str, str]:
    """The output of `pip config list`; an `install` section goes before `global`."""
    found: dict[str, tuple[int, str]] = {}
    ranks = {"global": 0, "install": 1, ":env:": 2}
    for line in listing.splitlines():
        key, equals, quoted = line.partition("=")
        section, _, name = key.rpartition(".")
        if not equals or section not in ranks:
            continue
        try:
            value = ast.literal_eval(quoted)
        except (SyntaxError, ValueError):
            continue
        if isinstance(value, str) and ranks[section] >= found.get(name, (0, ""))[0]:
            found[name] = (ranks[section], value)
    return {name: value for name, (_, value) in found.items()}


def uv_variables(pip: Mapping[str, str]) -> dict[str, str]:
    """pip's settings as uv's environment variables: uv reads no pip configuration of its own."""
    given = {uv: pip[name] for name, uv in _PIP_NAMES.items() if pip.get(name)}
    for listed in ("UV_INDEX", "UV_INSECURE_HOST"):
        if listed in given:
            given[listed] = " ".join(given[listed].split())
    if "UV_FIND_LINKS" in given:
        given["UV_FIND_LINKS"] = ",".join(given["UV_FIND_LINKS"].split())
    if "UV_INDEX" in given:
        # pip takes the best version of all its indexes; uv by default the first index's.
        given["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    if pip.get("no-index", "").lower() in {"1", "true", "yes", "on"}:
        given["UV_NO_INDEX"] = "1"
    return given
