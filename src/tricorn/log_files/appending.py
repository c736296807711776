"""How log files are opened: for us alone, and to be written at their end wherever that is then."""

from __future__ import annotations

import os
import sys
from pathlib import Path

if sys.platform == "win32":
    from tricorn import windows


def open_to_append(path: Path) -> int:
    """A descriptor; the file is made where there is none. OSError."""
    if sys.platform == "win32":
        return windows.open_to_append(path)
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
