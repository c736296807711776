"""Tests of `tricorn.log_files.reading`."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

from tricorn.log_files import INFERENCE, OPERATIONS, SERVICE, reading
from tricorn.log_files.reading import Filter, Follower


def put(folder: Path, name: str, second: int, **facts: str) -> None:
    line = {"timestamp": f"2026-01-01T00:00:{second:02}.000Z", "level": "info", **facts}
    with (folder / name).open("a") as file:
        file.write(json.dumps(line) + "\n")


def events(lines: list[reading.Line]) -> list[str]:
    return [line["event"] for line in lines]


def test_the_last_of_all_files(tmp_path: Path) -> None:
    """By time; each says which file it is of. A file need not be there."""
    put(tmp_path, INFERENCE, 1, event="a")
    put(tmp_path, SERVICE, 2, event="b")
    put(tmp_path, INFERENCE, 3, event="c")
    lines = reading.recent(tmp_path, 2, Filter())
    assert [(line["log"], line["event"]) for line in lines] == [
        ("tricorn", "b"),
        ("inference", "c"),
    ]
    assert reading.recent(tmp_path, 0, Filter()) == []


def test_filters(tmp_path: Path) -> None:
    put(tmp_path, INFERENCE, 1, event="a", model="m")
    put(tmp_path, INFERENCE, 2, event="b", model="n", level="warning")
    put(tmp_path, OPERATIONS, 3, event="c", model="m", level="error")
    assert events(reading.recent(tmp_path, 9, Filter("WARNING"))) == ["b", "c"]
    assert events(reading.recent(tmp_path, 9, Filter(model="m"))) == ["a", "c"]


def test_what_was_put_aside_just_now(tmp_path: Path) -> None:
    """Is still read; and of a long file the end only, by whole lines."""
    put(tmp_path, f"{SERVICE}.20260101-000002", 1, event="before")
    put(tmp_path, SERVICE, 3, event="after")
    assert events(reading.recent(tmp_path, 9, Filter())) == ["before", "after"]


def test_the_end_of_a_long_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "TAIL_BYTES", 150)
    for second in range(9):
        put(tmp_path, SERVICE, second, event=str(second))
    assert events(reading.recent(tmp_path, 9, Filter())) == ["7", "8"]


def test_lines_that_are_none(tmp_path: Path) -> None:
    """Half of one, and what somebody else has written."""
    put(tmp_path, SERVICE, 1, event="a")
    with (tmp_path / SERVICE).open("a") as file:
        file.write('["list"]\nnonsense\n{"event": "hal')
    assert events(reading.recent(tmp_path, 9, Filter())) == ["a"]


def test_following(tmp_path: Path) -> None:
    """What comes, once; also in a file that begins anew, or that was not there."""
    put(tmp_path, SERVICE, 1, event="old")
    follower = Follower(tmp_path)
    assert follower.more(Filter()) == []
    put(tmp_path, SERVICE, 2, event="a")
    put(tmp_path, INFERENCE, 3, event="b", level="debug")
    assert events(follower.more(Filter())) == ["a", "b"]
    put(tmp_path, SERVICE, 4, event="c")
    (tmp_path / SERVICE).rename(tmp_path / f"{SERVICE}.20260101-000005")
    put(tmp_path, SERVICE, 6, event="d")
    put(tmp_path, INFERENCE, 7, event="e", level="debug")
    assert events(follower.more(Filter("INFO"))) == ["c", "d"]
    assert follower.more(Filter()) == []


def test_a_file_that_has_begun_anew_twice(tmp_path: Path) -> None:
    """Between two looks; nothing is left out or told twice."""
    put(tmp_path, SERVICE, 1, event="old")
    (tmp_path / SERVICE).rename(tmp_path / f"{SERVICE}.20260101-000001")
    put(tmp_path, SERVICE, 2, event="read")
    follower = Follower(tmp_path)
    put(tmp_path, SERVICE, 3, event="a")
    (tmp_path / SERVICE).rename(tmp_path / f"{SERVICE}.20260101-000003")
    put(tmp_path, SERVICE, 4, event="b")
    (tmp_path / SERVICE).rename(tmp_path / f"{SERVICE}.20260101-000004")
    put(tmp_path, SERVICE, 5, event="c")
    assert events(follower.more(Filter())) == ["a", "b", "c"]


def test_half_a_line_is_waited_for(tmp_path: Path) -> None:
    follower = Follower(tmp_path)
    path = tmp_path / SERVICE
    path.write_text('{"event": "a"}\n{"event"')
    assert events(follower.more(Filter())) == ["a"]
    with path.open("a") as file:
        file.write(': "b"}\n')
    assert events(follower.more(Filter())) == ["b"]


def test_following_goes_on(tmp_path: Path) -> None:
    """It looks again after each pause."""
    numbers = itertools.count(1)

    def pause(seconds: float) -> None:
        put(tmp_path, SERVICE, next(numbers), event="new")

    lines = reading.follow(Follower(tmp_path), Filter(), pause)
    assert events([next(lines), next(lines)]) == ["new", "new"]
