"""Bars on a terminal and elsewhere."""

from __future__ import annotations

import io

import pytest

from tricorn.commands.terminal_bar import Bar, amount, drawn, size


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_live_line_is_replaced() -> None:
    """On a terminal one line changes, and leaves nothing but the last words."""
    out, clock = Terminal(), Clock()
    bar = Bar("m.gguf", out, clock=clock)
    bar.update(0.25, "1 GB of 4 GB")
    bar.update(0.26, "too soon to be shown")
    clock.now = 1.0
    bar.update(0.5, "2 GB of 4 GB", title="n.gguf")
    bar.close("done")
    lines = out.getvalue().split("\r\x1b[2K")
    assert lines[1] == f"{drawn(0.25)}  1 GB of 4 GB  m.gguf"
    assert lines[2] == f"{drawn(0.5)}  2 GB of 4 GB  n.gguf"
    assert lines[3:] == ["done\n"]


def test_plain_lines_elsewhere() -> None:
    """In a file: no control characters, a line now and then, none twice."""
    out, clock = io.StringIO(), Clock()
    bar = Bar("m.gguf", out, plain_interval_s=10, clock=clock)
    for now in range(0, 31, 5):
        clock.now = float(now)
        bar.update(0.1 if now < 20 else 0.999, "on its way")
    bar.update(None, "never shown")
    bar.close()
    assert out.getvalue() == "m.gguf:  10 %  on its way\nm.gguf:  99 %  on its way\n"


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        (0.0, f"[{'.' * 24}]   0 %"),
        (0.5, f"[{'#' * 12}{'.' * 12}]  50 %"),
        (1.0, f"[{'#' * 24}] 100 %"),
        (7.0, f"[{'#' * 24}] 100 %"),
        (None, f"[{'.' * 24}]      "),
    ],
)
def test_bars(share: float | None, expected: str) -> None:
    """All of one width, whatever is known."""
    assert drawn(share) == expected


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (1_234_567, "1.2 MB"),
        (99_960_000, "100 MB"),
        (999_900_000, "1.0 GB"),
        (5e15, "5000 TB"),
    ],
)
def test_sizes(count: float, expected: str) -> None:
    """Bytes as disks and hubs count them."""
    assert size(count) == expected


def test_amounts() -> None:
    """As much as is known."""
    assert amount(10, 2000, None, None) == "10 B of 2.0 kB"
    assert amount(10, 2000, 1e6, 61.0) == "10 B of 2.0 kB  1.0 MB/s  1:01 left"
