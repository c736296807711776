"""How much work an expression or a grammar makes for the compiler, before it is given to it.

llguidance bounds its own work, except where many parts that may be empty stand in a row: `a?a?a?…`
takes time and memory by the square of their number, and those of a grammar's terminals multiply.
Numbers of repetitions are walked through for the first token. Pure.
"""

from __future__ import annotations

import re
from typing import Any

from tricorn.schemas.fields import bad_value

MAX_PARTS = 2000
"""Parts of an expression that may be empty or are repeated; takes 0.1 s and 15 MB."""
MAX_REPEAT = 10_000
MAX_DEPTH = 64
"""Of terminals that are made of others."""

_MAYBE = ("?", "*", "+", "{", "|)", "(|", "||")
_BRACES = re.compile(r"\{([^{}]*)\}")
_QUOTES = frozenset("\"'/[|")
_TERMINAL = re.compile(r"\b_?[A-Z][A-Z0-9_]*\b")


def check_regex(text: str) -> None:
    """A refusal where it takes too much; of anything that has expressions in it."""
    _check_repeats(text)
    _check_parts(_parts(text))


def check_grammar(text: str) -> None:
    """The same of a grammar, in either notation."""
    _check_repeats(text)
    bodies = _bodies(text)
    known: dict[str, int] = {}
    for name, body in bodies.items():
        _check_parts(_parts(body) if name.islower() else _weight(name, bodies, known, 0))


def check_schema(schema: object) -> None:
    """The same of all expressions in a JSON schema."""
    waiting: list[Any] = [schema]
    while waiting:
        one = waiting.pop()
        if isinstance(one, list):
            waiting += one
        elif isinstance(one, dict):
            waiting += one.values()
            patterns = one.get("patternProperties")
            names = list(patterns) if isinstance(patterns, dict) else []
            for text in (one.get("pattern"), *names):
                if isinstance(text, str):
                    check_regex(text)


def _check_repeats(text: str) -> None:
    for inside in _BRACES.findall(text):
        for number in map(str.strip, inside.split(",")):
            # Longer ones are never read: Python would refuse to.
            if number.isdecimal() and (len(number) > 9 or int(number) > MAX_REPEAT):
                raise bad_value(f"at most {MAX_REPEAT} repetitions, got {number[:20]}")


def _check_parts(parts: int) -> None:
    if parts > MAX_PARTS:
        raise bad_value(f"too complex: more than {MAX_PARTS} parts are repeated or may be empty")


def _parts(text: str) -> int:
    return sum(map(text.count, _MAYBE))


def _bodies(text: str) -> dict[str, str]:
    """What stands behind each rule's or terminal's name."""
    bodies: dict[str, list[str]] = {"": []}
    name = ""
    for line in text.split("\n"):
        head, colon, rest = line.partition(":")
        first = head.split(None, 1)[0].lstrip("?!") if head.strip() else ""
        # A colon in a text or an expression begins no definition.
        if colon and first[:1].isidentifier() and not _QUOTES & set(head):
            name, line = re.split(r"[.{~]", first, maxsplit=1)[0], rest
        bodies.setdefault(name, []).append(line)
    return {name: "\n".join(lines) for name, lines in bodies.items()}


def _weight(name: str, bodies: dict[str, str], known: dict[str, int], depth: int) -> int:
    """Of a terminal with those that it is made of, each as often as it is named."""
    if name not in known:
        if depth > MAX_DEPTH:
            raise bad_value(f"its terminals are nested more than {MAX_DEPTH} levels deep")
        known[name] = 0  # one that is made of itself is for the compiler to refuse
        body = bodies[name]
        named = [other for other in _TERMINAL.findall(body) if other in bodies]
        inner = sum(_weight(other, bodies, known, depth + 1) for other in named)
        known[name] = 1 + _parts(body) + inner
    return known[name]
