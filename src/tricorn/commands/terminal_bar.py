"""A bar for what takes long: one live line on a terminal, a plain line now and then elsewhere."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable
from typing import TextIO

from tricorn.installing.long_commands import elapsed

PLAIN_INTERVAL_S = 10.0
_LIVE_INTERVAL_S = 0.1
_WIDTH = 24
_UNITS = ("B", "kB", "MB", "GB", "TB")


class Bar:
    """Shows how far one thing is. `update` as often as you like, `close` at the end.

    out: None: standard output.
    """

    def __init__(
        self,
        title: str,
        out: TextIO | None = None,
        *,
        plain_interval_s: float = PLAIN_INTERVAL_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._title = title
        self._out = out or sys.stdout
        self._live = self._out.isatty()
        self._interval_s = _LIVE_INTERVAL_S if self._live else plain_interval_s
        self._clock = clock
        self._shown: float | None = None
        self._words = ""

    def update(self, share: float | None, words: str, *, title: str | None = None) -> None:
        """share: 0 to 1; None: nobody knows. words: what else there is to say."""
        if title is not None:
            self._title = title
        now = self._clock()
        if self._shown is not None and now - self._shown < self._interval_s:
            return
        self._shown = now
        if self._live:
            # The title last: it is what a narrow terminal can do without.
            self._replace(f"{drawn(share)}  {words}  {self._title}")
        else:
            percent = "" if share is None else f"{percentage(share)}  "
            self._line(f"{self._title}: {percent}{words}")

    def close(self, words: str = "") -> None:
        """Take the live line away; `words` stay in its place."""
        if self._live:
            self._replace("")
        if words:
            self._line(words)

    def _replace(self, text: str) -> None:
        columns = max(20, shutil.get_terminal_size().columns - 1)
        self._out.write("\r\x1b[2K" + text[:columns])
        self._out.flush()

    def _line(self, text: str) -> None:
        if text != self._words:
            self._words = text
            self._out.write(text + "\n")
            self._out.flush()


def drawn(share: float | None) -> str:
    """`[######..................]  25 %`; an empty bar where nobody knows."""
    if share is None:
        return f"[{'.' * _WIDTH}]      "
    full = round(min(max(share, 0.0), 1.0) * _WIDTH)
    return f"[{'#' * full}{'.' * (_WIDTH - full)}] {percentage(share)}"


def percentage(share: float) -> str:
    """100 % is said of what is complete only."""
    return f"{int(min(max(share, 0.0), 1.0) * 100):3d} %"


def size(count: float) -> str:
    """Bytes for people: `812 B`, `1.4 GB`."""
    power = 0
    while count >= 999.5 and power < len(_UNITS) - 1:
        count, power = count / 1000, power + 1
    return f"{count:.{0 if power == 0 or count >= 99.95 else 1}f} {_UNITS[power]}"


def amount(completed: int, total: int, per_second: float | None, eta_s: float | None) -> str:
    """`1.2 GB of 4.1 GB  12.0 MB/s  4:01 left`, as far as it is known."""
    words = [f"{size(completed)} of {size(total)}"]
    if per_second is not None:
        words.append(f"{size(per_second)}/s")
    if eta_s is not None:
        words.append(f"{elapsed(eta_s)} left")
    return "  ".join(words)
