"""Whether files have changed since they were last looked at."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

Stamps = dict[Path, tuple[int, int, int] | None]
"""Files, and what is another once they have changed; None: it is not there."""


def stamps(files: Iterable[Path]) -> Stamps:
    """As the files are now."""
    return {path: _stamp(path) for path in files}


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
