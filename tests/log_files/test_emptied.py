"""Tests of `tricorn.log_files.emptied`."""

from __future__ import annotations

import os
from pathlib import Path

from tests.access.clock import Clock

from tricorn.log_files.emptied import EmptiedFiles
from tricorn.log_files.rotating import DAY_S, Rotation, put_aside

ROTATION = Rotation(max_bytes=10, keep_days=2, keep_files=2)


def files_of(folder: Path, clock: Clock, rotation: Rotation = ROTATION) -> EmptiedFiles:
    return EmptiedFiles(lambda: sorted(folder.glob("*.log")), lambda: rotation, clock)


def written(path: Path, text: str, clock: Clock) -> None:
    with path.open("a") as file:
        file.write(text)
    os.utime(path, (clock(), clock()))


def test_a_long_one_begins_anew_for_who_has_it_open(tmp_path: Path) -> None:
    """Whoever appends goes on; a short one stays."""
    path, clock = tmp_path / "a.log", Clock()
    files = files_of(tmp_path, clock)
    with path.open("ab", buffering=0) as writer:
        writer.write(b"short\n")
        os.utime(path, (clock(), clock()))
        files.look()
        assert put_aside(path) == []
        writer.write(b"and long\n")
        files.look()
        (aside,) = put_aside(path)
        assert aside.read_text() == "short\nand long\n"
        assert aside.stat().st_mode & 0o077 == 0
        writer.write(b"new\n")
    assert path.read_text() == "new\n"


def test_each_day_anew(tmp_path: Path) -> None:
    """By the day on which it began; an empty one leaves nothing."""
    path, clock = tmp_path / "a.log", Clock()
    files = files_of(tmp_path, clock)
    written(path, "one\n", clock)
    files.look()
    clock.now += DAY_S
    written(path, "two\n", clock)
    files.look()
    assert [aside.read_text() for aside in put_aside(path)] == ["one\ntwo\n"]
    clock.now += DAY_S
    files.look()
    assert len(put_aside(path)) == 1


def test_of_a_day_before_this_start(tmp_path: Path) -> None:
    path, clock = tmp_path / "a.log", Clock()
    written(path, "old\n", clock)
    clock.now += DAY_S
    files_of(tmp_path, clock).look()
    assert len(put_aside(path)) == 1


def test_old_ones_go(tmp_path: Path) -> None:
    """Those that are too many, and too old."""
    path, clock = tmp_path / "a.log", Clock()
    files = files_of(tmp_path, clock)
    for _ in range(4):
        written(path, "long enough\n", clock)
        files.look()
        for aside in put_aside(path):
            os.utime(aside, (clock(), clock()))
    assert len(put_aside(path)) == 2
    clock.now += 3 * DAY_S
    files.look()
    assert put_aside(path) == []


def test_a_file_that_goes_meanwhile(tmp_path: Path) -> None:
    """The others are looked at nevertheless."""
    clock = Clock()
    path = tmp_path / "b.log"
    written(path, "long enough\n", clock)
    EmptiedFiles(lambda: [tmp_path / "gone.log", path], lambda: ROTATION, clock).look()
    assert len(put_aside(path)) == 1
