"""The table that people read, and the JSON that programs read."""

from __future__ import annotations

import json
import os
import shutil
import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TextIO

from tricorn.doctor.check import Check, State

SYMBOLS: dict[State, str] = {"ok": "✓", "warn": "!", "fail": "✗"}
PLAIN_SYMBOLS: dict[State, str] = {"ok": "ok", "warn": "!", "fail": "X"}
COLOURS: dict[State, str] = {"ok": "32", "warn": "33", "fail": "31"}
NAME_WIDTH = 14
"""Of the longest name; fixed, as rows are printed when they are known."""


class Table:
    """Prints rows as they come."""

    def __init__(self, out: TextIO, environ: Mapping[str, str] = os.environ) -> None:
        self._out = out
        self._fancy = shows_unicode(out, environ)
        terminal = out.isatty()
        plain = "NO_COLOR" in environ or environ.get("TERM") == "dumb"
        self._coloured = terminal and not plain
        self._width = shutil.get_terminal_size((100, 24)).columns if terminal else 100

    def row(self, check: Check) -> None:
        """One finding, and below it what mends it."""
        symbol = (SYMBOLS if self._fancy else PLAIN_SYMBOLS)[check.state]
        shown = symbol.ljust(1 if self._fancy else 2)
        if self._coloured:
            shown = f"\x1b[{COLOURS[check.state]}m{shown}\x1b[0m"
        indent = " " * (len(symbol.ljust(1 if self._fancy else 2)) + 2 + NAME_WIDTH)
        lines = self._wrapped(check.what, indent)
        self._print(f"{shown} {check.name.ljust(NAME_WIDTH)} {lines[0].lstrip()}")
        for line in lines[1:]:
            self._print(line)
        if check.fix:
            # In one piece, however long: it is there to be copied.
            self._print(f"{indent}{'→' if self._fancy else '->'} {check.fix}")

    def end(self, checks: Sequence[Check]) -> None:
        """The count of what is not well."""
        count = Counter(check.state for check in checks)
        if count["fail"]:
            self._print(f"\n{count['fail']} to mend before Tricorn works here.")
        elif count["warn"]:
            self._print(f"\nNothing stands in the way; {count['warn']} could be better.")
        else:
            self._print("\nAll is well.")

    def working(self, what: str) -> None:
        """A passing line on a terminal while a check takes its time; empty takes it away."""
        if self._out.isatty():
            self._out.write("\r\x1b[2K" + what)
            self._out.flush()

    def _wrapped(self, text: str, indent: str) -> list[str]:
        width = max(self._width, len(indent) + 30)
        return textwrap.wrap(
            text,
            width,
            initial_indent=indent,
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
        ) or [""]

    def _print(self, line: str) -> None:
        encoding = "ascii" if not self._fancy else self._out.encoding or "utf-8"
        print(line.encode(encoding, "replace").decode(encoding), file=self._out, flush=True)


def shows_unicode(out: TextIO, environ: Mapping[str, str]) -> bool:
    """Whether the symbols can be written, and the terminal can be expected to show them."""
    locale = environ.get("LC_ALL") or environ.get("LC_CTYPE") or environ.get("LANG") or ""
    # Python writes UTF-8 in the plain C locale too, whatever reads it.
    if locale in ("C", "POSIX") or environ.get("TERM") == "linux":
        return False
    try:
        "".join(SYMBOLS.values()).encode(out.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def as_json(checks: Sequence[Check]) -> str:
    """`{"ok": …, "checks": [{"name", "state", "what", "fix"}, …]}`, indented, ASCII."""
    found = {"ok": is_well(checks), "checks": [asdict(check) for check in checks]}
    return json.dumps(found, indent=2)


def is_well(checks: Sequence[Check]) -> bool:
    """Whether nothing fails."""
    return all(check.state != "fail" for check in checks)
