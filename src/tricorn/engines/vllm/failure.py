"""Why a load failed. vLLM's engine core is a process of its own, and tells its reason only in what
it writes to standard error; the exception in this process says no more than to look there."""

from __future__ import annotations

import os
import re

_ROOT_CAUSE = re.compile(
    r"^(?:\([^)]*pid=\d+\)\s*)?(?:ERROR \S+ \S+ \[[^\]]*\]\s*)?"
    r"((?:[A-Za-z_]\w*\.)*[A-Za-z_]\w*(?:Error|Exception)): (\S.*)$"
)
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class StandardError:
    """What this process and its children write to standard error from now on, as far as that goes
    to a file (the engine's log)."""

    def __init__(self) -> None:
        try:
            self._start = os.fstat(2).st_size
        except OSError:
            self._start = 0

    def text(self) -> str:
        """Empty where it goes to a terminal or a pipe."""
        try:
            path = os.readlink("/proc/self/fd/2")
            if not os.path.isfile(path):
                return ""
            with open(path, "rb") as file:
                file.seek(self._start)
                return file.read().decode(errors="replace")
        except OSError:
            return ""


def root_cause(text: str) -> str | None:
    """The first exception in a log: those that follow from it come after it."""
    for line in text.splitlines():
        if match := _ROOT_CAUSE.match(_COLOUR.sub("", line)):
            return f"{match[1].rpartition('.')[2]}: {match[2]}"
    return None
