"""Tricorn's own regular expressions: none repeats without end what itself repeats without end,
by which a text of a few dozen characters can take for ever; and none repeats without end, twice in
a row, what has characters in common: then one of a few thousand takes seconds.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from re import _compiler as compiler  # type: ignore[attr-defined]
from re import _constants as constants  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "tricorn"
FUNCTIONS = {"compile", "match", "search", "fullmatch", "sub", "split", "findall", "finditer"}
ONE_CHARACTER = {constants.IN, constants.LITERAL, constants.NOT_LITERAL, constants.ANY}
REPEATS = {constants.MAX_REPEAT, constants.MIN_REPEAT}


def patterns() -> Iterator[tuple[str, str]]:
    """(file and line, pattern) of each one that is written out."""
    for file in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(
                    func=ast.Attribute(value=ast.Name(id="re"), attr=name),
                    args=[ast.Constant(value=str() | bytes() as text), *_],
                ) if name in FUNCTIONS:
                    plain = text if isinstance(text, str) else text.decode("latin-1")
                    yield f"{file.relative_to(SOURCE)}:{node.lineno}", plain


def is_endless_within(parsed: Any, *, endless: bool = False) -> bool:
    """Whether something is repeated without end inside of what is."""
    for kind, what in parsed:
        repeats = kind in REPEATS and what[1] is constants.MAXREPEAT
        if repeats and endless:
            return True
        inner = what if isinstance(what, list | tuple) else ()
        for one in _within(inner):
            if is_endless_within(one, endless=endless or repeats):
                return True
    return False


def _within(inner: Any) -> Iterator[Any]:
    for one in inner:
        if isinstance(one, parser.SubPattern):
            yield one
        elif isinstance(one, list):
            yield from _within(one)


def repeats_twice(parsed: Any) -> bool:
    """Whether two repetitions without end follow each other, and share a character."""
    before: set[str] = set()
    for kind, what in _in_a_row(parsed):
        endless = kind in REPEATS and what[1] is constants.MAXREPEAT
        now = _characters(what[2]) if endless else set()
        if before & now:
            return True
        before = now
    return False


def _in_a_row(parsed: Any) -> Iterator[tuple[Any, Any]]:
    for kind, what in parsed:
        if kind is constants.SUBPATTERN:
            yield from _in_a_row(what[3])
        else:
            yield kind, what


def _characters(parsed: Any) -> set[str]:
    """Of the first 256 those that it matches, where it is of one character."""
    if len(parsed) != 1 or parsed[0][0] not in ONE_CHARACTER:
        return set()
    one = compiler.compile(parsed)
    return {chr(code) for code in range(256) if one.fullmatch(chr(code))}


DELIMITED = {"engines/vllm/failure.py"}
"""Each round ends with a dot, which nothing else in the round can be: there is one way only."""
FOUND = sorted(one for one in patterns() if one[0].partition(":")[0] not in DELIMITED)


def test_there_are_patterns() -> None:
    """Else the others would say nothing."""
    assert len(FOUND) > 30


@pytest.mark.parametrize(("place", "pattern"), FOUND, ids=[place for place, _ in FOUND])
def test_no_repetition_without_end_within_another(place: str, pattern: str) -> None:
    """Of all that are written out in the source."""
    assert not is_endless_within(parser.parse(pattern)), place


@pytest.mark.parametrize("pattern", ["(a+)+b", "(?:x*y?)*", "((a|b+)c?)+?", "a(b(c*)d)*"])
def test_such_are_found(pattern: str) -> None:
    """The test sees what it is for."""
    assert is_endless_within(parser.parse(pattern))


@pytest.mark.parametrize(("place", "pattern"), FOUND, ids=[place for place, _ in FOUND])
def test_no_repetitions_in_a_row_with_the_same_characters(place: str, pattern: str) -> None:
    """Of all that are written out in the source."""
    assert not repeats_twice(parser.parse(pattern)), place


@pytest.mark.parametrize("pattern", [r"x: *([^,]*)\r\n", r"\s+(.*)$", "a(?:b*)(b*)c", r"\d+\w+?;"])
def test_such_are_found_too(pattern: str) -> None:
    """The test sees what it is for."""
    assert repeats_twice(parser.parse(pattern))
