"""Tests of `tricorn.log_files.rotating`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tricorn.log_files.rotating import DAY_S, RotatingFile, Rotation, put_aside

NOON = 20_000 * DAY_S + DAY_S / 2.0


@pytest.fixture
def now() -> list[float]:
    return [NOON]


def file_in(folder: Path, now: list[float], **given: int) -> RotatingFile:
    rotation = Rotation(**({"max_bytes": 1000, "keep_days": 14, "keep_files": 20} | given))
    return RotatingFile(folder / "logs" / "x.log", rotation, lambda: now[0])


def test_lines_are_appended(tmp_path: Path, now: list[float]) -> None:
    """Also by the next one that writes it; nobody else may read it."""
    for lines in ([b"a", b"b"], [b"c"]):
        file = file_in(tmp_path, now)
        file.write(lines)
        os.utime(tmp_path / "logs" / "x.log", (NOON, NOON))
        file.close()
    path = tmp_path / "logs" / "x.log"
    assert path.read_bytes() == b"a\nb\nc\n"
    assert path.stat().st_mode & 0o077 == 0
    assert not put_aside(path)


def test_it_begins_anew_when_it_is_long(tmp_path: Path, now: list[float]) -> None:
    """No line is divided; two in the same second do not meet."""
    file = file_in(tmp_path, now, max_bytes=10)
    for line in (b"12345678", b"second", b"third, longer than all", b"last"):
        file.write([line])
    path = tmp_path / "logs" / "x.log"
    assert path.read_bytes() == b"last\n"
    kept = [one.read_bytes() for one in put_aside(path)]
    assert kept == [b"12345678\n", b"second\n", b"third, longer than all\n"]


def test_it_begins_anew_each_day(tmp_path: Path, now: list[float]) -> None:
    file = file_in(tmp_path, now)
    file.write([b"today"])
    now[0] += 10
    file.write([b"too"])
    now[0] += DAY_S
    file.write([b"tomorrow"])
    path = tmp_path / "logs" / "x.log"
    assert path.read_bytes() == b"tomorrow\n"
    assert [one.read_bytes() for one in put_aside(path)] == [b"today\ntoo\n"]


def test_old_ones_go(tmp_path: Path, now: list[float]) -> None:
    """By their number, and by their age."""
    path = tmp_path / "logs" / "x.log"
    file = file_in(tmp_path, now, max_bytes=1, keep_files=2, keep_days=5)
    for number in range(5):
        now[0] += 1
        file.write([b"%d" % number])
        os.utime(path, (now[0], now[0]))
    assert [one.read_bytes() for one in put_aside(path)] == [b"2\n", b"3\n"]
    now[0] += 6 * DAY_S
    file.write([b"later"])
    assert not put_aside(path)


def test_a_file_that_was_removed(tmp_path: Path, now: list[float]) -> None:
    """Somebody's own rotation is no error."""
    file = file_in(tmp_path, now, max_bytes=4)
    file.write([b"abc"])
    (tmp_path / "logs" / "x.log").unlink()
    file.write([b"def"])
    assert (tmp_path / "logs" / "x.log").read_bytes() == b"def\n"
