"""How the probes reach the machine: its files, its commands, its environment, within a time limit.

A probe never raises and never hangs: what cannot be read is None, and a command or a driver that
does not answer is left behind. Tests hand in another root folder and other commands.
"""

from __future__ import annotations

import importlib
import os
import platform
import shutil
import subprocess
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

TIMEOUT_S = 5.0
"""A hung driver must not hang the start."""

T = TypeVar("T")


class Run(Protocol):
    def __call__(self, *command: str) -> str | None:
        """What a command prints; None where it fails."""


def output(*command: str, timeout_s: float = TIMEOUT_S) -> str | None:
    """What a command prints, stripped; None where it is missing, fails, hangs or prints nothing."""
    program = shutil.which(command[0])
    if program is None:
        return None
    try:
        process = subprocess.Popen(
            [program, *command[1:]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
    except OSError:
        return None
    try:
        printed, _ = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        # Not waited for: a process that is stuck inside a driver does not even end when killed.
        process.kill()
        return None
    if process.returncode != 0:
        return None
    return printed.decode("utf-8", errors="replace").strip() or None


def bounded(work: Callable[[], T], timeout_s: float = TIMEOUT_S) -> tuple[bool, T | None]:
    """(whether it came back in time, what it gave). None where it failed or did not come back.

    For calls into a vendor's library, which cannot be ended: the thread is left behind, and as a
    daemon it does not keep the process alive.
    """
    results: list[T] = []

    def call() -> None:
        try:
            results.append(work())
        except Exception:  # noqa: BLE001 - a vendor's library may fail in any way: it stays unknown
            return

    thread = threading.Thread(target=call, name="hardware probe", daemon=True)
    thread.start()
    thread.join(timeout_s)
    return not thread.is_alive(), results[0] if results else None


@dataclass(frozen=True)
class Machine:
    """What the probes may look at."""

    system: str | None = None
    """linux, darwin or windows."""
    root: Path = Path("/")
    run: Run = output
    environ: Mapping[str, str] = field(default_factory=dict)
    psutil: Any = None
    """The module, where it is importable."""

    @classmethod
    def here(cls) -> Machine:
        """The machine this process runs on."""
        return cls(
            system=platform.system().lower() or None,
            environ=os.environ,
            psutil=_psutil(),
        )

    def read(self, path: str | Path) -> str | None:
        """The text of a file below the root, stripped; None where it can't be read."""
        return read(self.root / path)

    def sysctl(self, name: str) -> str | None:
        """One value of macOS's sysctl."""
        return self.run("sysctl", "-n", name)


def _psutil() -> Any:
    try:
        return importlib.import_module("psutil")
    except ImportError:  # not installed, or built for another Python
        return None


class Findings:
    """Facts as they are found, each with its source; the first source that knows a fact wins."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}
        self.sources: dict[str, str] = {}

    def note(self, fact: str, value: Any, source: str) -> None:
        """Keep a fact, unless it is unknown (None) or known already."""
        if value is not None and fact not in self.values:
            self.values[fact] = value
            self.sources[fact] = source


def read(path: Path) -> str | None:
    """A file's text, stripped, without the NULs of the device tree; None where it can't be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip().strip("\0")
    except OSError:
        return None


def integer(text: str | None, base: int = 10) -> int | None:
    """The number in a text; None where there is none."""
    try:
        return int(text, base) if text is not None else None
    except ValueError:
        return None


def folders(path: Path, pattern: str) -> list[Path]:
    """What matches below a folder, in order; empty where it can't be read."""
    try:
        return sorted(path.glob(pattern))
    except OSError:
        return []
