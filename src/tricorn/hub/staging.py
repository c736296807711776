"""The folder in a repository's where files come in and where it is noted what was pulled. It is
hidden: the catalog looks into none whose name begins with a dot."""

from __future__ import annotations

import shutil
from pathlib import Path

from tricorn.installing import file_lock

STAGING = ".pull"
LOCK = "lock"


def discard(folder: Path) -> None:
    """Remove what pulls have left in a repository's folder where nothing else is, unless one is at
    work in it. OSError where that cannot be."""
    if [entry.name for entry in folder.iterdir()] != [STAGING]:
        return
    with file_lock.hold_if_free(folder / STAGING / LOCK) as free:
        if free:
            shutil.rmtree(folder / STAGING)
