"""Which Tricorn instance a gateway belongs to: its run directory and its settings."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import psutil

from tricorn.settings.config import Settings
from tricorn.settings.loading import from_json, load_settings

RUN_DIR = "TRICORN_RUN_DIR"
"""Environment variable that a manager gives to the gateways it starts."""


def settings() -> Settings:
    """Those of the manager in TRICORN_RUN_DIR, else what is configured in the current directory."""
    given = os.environ.get(RUN_DIR)
    if given:
        written = Path(given) / "settings.json"
        if written.is_file():
            return from_json(written.read_text("utf-8"))
    return load_settings()


def run_dir(settings: Settings) -> Path:
    given = os.environ.get(RUN_DIR)
    return Path(given) if given else settings.runtime_dir()


def manager_pid(run_dir: Path) -> int | None:
    """The process that wrote `control.json`; None where there is no such file."""
    try:
        pid = json.loads((run_dir / "control.json").read_text())["pid"]
    except (OSError, ValueError, KeyError):
        return None
    return pid if isinstance(pid, int) else None


def is_alive(pid: int) -> bool:
    """Whether a process runs. One that ended and was not waited for does not."""
    if sys.platform == "win32":  # where signal 0 is Ctrl-C
        return psutil.pid_exists(pid)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        # Linux: the state follows the name, which is in parentheses and may contain anything.
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][:1]
    except OSError:
        return True
    return state not in ("Z", "X")
