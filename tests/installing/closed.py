"""An environment whose Python lies where this user may not look, as root's own do."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from tricorn.installing.environment_state import Environment


def close(environment: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not by permissions: tests may be run by root, whom none hold up."""
    stat = Path.stat

    def refused(path: Path, **options: Any) -> os.stat_result:
        if path == environment.python:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return stat(path, **options)

    monkeypatch.setattr(Path, "stat", refused)
