"""What the engine without a model does wrong on demand; `fake` tells the knobs."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from tricorn.engines.stepped import argument
from tricorn.errors import EngineGenerateError, EngineLost, ModelLoadFailed

LIVE = "import threading; threading.Event().wait()"


class Faults:
    def __init__(self, engine_args: dict[str, Any]) -> None:
        self._load_error = argument(engine_args, "load_error", str, None)
        self._native_load_s = argument(engine_args, "native_load_s", int, 0)
        self._crash_at = argument(engine_args, "crash_at_token", int, None)
        self._crash_marker = argument(engine_args, "crash_marker", str, None)
        self._hang_at = argument(engine_args, "hang_at_token", int, None)
        self._hang_marker = argument(engine_args, "hang_marker", str, None)
        self._error = argument(engine_args, "generate_error", str, None)
        self._error_marker = argument(engine_args, "error_marker", str, None)

    def in_load(self) -> None:
        if self._native_load_s:
            # Not CDLL, which would let other threads run meanwhile.
            ctypes.PyDLL(None).sleep(self._native_load_s)
        if self._load_error:
            raise ModelLoadFailed(self._load_error)

    def in_submit(self) -> None:
        if self._error and (self._error_marker is None or Path(self._error_marker).exists()):
            raise EngineGenerateError(self._error)

    def at_token(self, generated: int) -> None:
        if generated == self._crash_at and _for_the_first_time(self._crash_marker):
            os._exit(134)
        if generated == self._hang_at and _for_the_first_time(self._hang_marker):
            threading.Event().wait()


class Child:
    """A process that the engine cannot do without."""

    def __init__(self) -> None:
        self._process = subprocess.Popen([sys.executable, "-c", LIVE])

    def check(self) -> None:
        if self._process.poll() is not None:
            raise EngineLost("the engine's own process ended")

    def end(self) -> None:
        self._process.kill()
        self._process.wait()


def _for_the_first_time(marker: str | None) -> bool:
    if marker is None:
        return True
    if Path(marker).exists():
        return False
    Path(marker).touch()
    return True
