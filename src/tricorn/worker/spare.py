"""A spare worker: started before anybody knows which model it is to load, for that to be quicker.

It imports what every load needs, and waits for its launch.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

from tricorn.engines import registry
from tricorn.errors import ModelLoadFailed
from tricorn.log_files.appending import open_to_append

STANDARD_OUTPUT, STANDARD_ERROR = 1, 2


def import_engine(name: str) -> None:
    """What cannot be imported, the load will tell."""
    with contextlib.suppress(ModelLoadFailed):
        registry.create(name)


def write_to(log_file: str) -> None:
    """Everything that this process writes, native code's too. OSError."""
    sys.stdout.flush()
    sys.stderr.flush()
    descriptor = open_to_append(Path(log_file))
    try:
        os.dup2(descriptor, STANDARD_OUTPUT)
        os.dup2(descriptor, STANDARD_ERROR)
    finally:
        os.close(descriptor)
