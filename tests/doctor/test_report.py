"""The table and the JSON."""

from __future__ import annotations

import io
import json

import pytest

from tricorn.doctor import report
from tricorn.doctor.check import Check

WELL = Check("python", "ok", "3.12.1")
MEH = Check("proxy", "warn", "HTTP_PROXY is set", "export NO_PROXY=localhost")
BAD = Check("port", "fail", "in use by another program", "python3 run.py --port 8001")


class Terminal(io.StringIO):
    """Remembers what is written, in an encoding of its own."""

    def __init__(self, encoding: str = "utf-8", *, tty: bool = False) -> None:
        super().__init__()
        self._encoding, self._tty = encoding, tty

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._encoding

    def isatty(self) -> bool:
        return self._tty


def printed(*checks: Check, encoding: str = "utf-8", tty: bool = False, **environ: str) -> str:
    out = Terminal(encoding, tty=tty)
    table = report.Table(out, environ)
    for check in checks:
        table.row(check)
    table.end(checks)
    return out.getvalue()


def test_each_row_has_its_symbol_and_its_fix() -> None:
    """The fix is below, in one piece."""
    assert printed(WELL, MEH, BAD).splitlines()[:5] == [
        "✓ python         3.12.1",
        "! proxy          HTTP_PROXY is set",
        "                 → export NO_PROXY=localhost",
        "✗ port           in use by another program",
        "                 → python3 run.py --port 8001",
    ]


def test_long_sentences_are_wrapped_and_fixes_are_not() -> None:
    """A command has to be copied whole."""
    fix = "command " * 30
    lines = printed(Check("x", "warn", "word " * 40, fix)).splitlines()
    assert all(len(line) <= 100 for line in lines[:-3])
    assert lines[1].startswith(" " * 17 + "word")
    assert lines[-3].strip() == f"→ {fix}".strip()


@pytest.mark.parametrize(
    ("checks", "words"),
    [
        ([WELL], "All is well."),
        ([WELL, MEH, MEH], "Nothing stands in the way; 2 could be better."),
        ([BAD, MEH, WELL], "1 to mend before Tricorn works here."),
    ],
)
def test_the_end_counts(checks: list[Check], words: str) -> None:
    """What matters most."""
    assert printed(*checks).splitlines()[-1] == words


@pytest.mark.parametrize(
    ("encoding", "environ", "fancy"),
    [
        ("utf-8", {}, True),
        ("utf-8", {"LANG": "de_DE.UTF-8"}, True),
        ("ascii", {}, False),
        ("latin-1", {}, False),
        ("utf-8", {"LC_ALL": "C", "LANG": "de_DE.UTF-8"}, False),
        ("utf-8", {"LANG": "POSIX"}, False),
        ("utf-8", {"TERM": "linux"}, False),
    ],
)
def test_plain_ascii_where_symbols_cannot_be_shown(
    encoding: str, environ: dict[str, str], fancy: bool
) -> None:
    """The terminal's encoding, its locale, and the console decide; nothing breaks on the way."""
    shown = printed(Check("models", "fail", "Modell-ü.gguf", "rm it"), encoding=encoding, **environ)
    assert ("✗" in shown) is fancy
    assert shown.isascii() is not fancy
    if not fancy:
        assert shown.startswith("X  models")
        assert "-> rm it" in shown


@pytest.mark.parametrize(
    ("tty", "environ", "coloured"),
    [
        (True, {}, True),
        (True, {"NO_COLOR": ""}, False),
        (True, {"TERM": "dumb"}, False),
        (False, {}, False),
    ],
)
def test_colour_is_for_terminals(tty: bool, environ: dict[str, str], coloured: bool) -> None:
    """And only the symbol has it."""
    shown = printed(WELL, tty=tty, **environ)
    assert ("\x1b[32m✓\x1b[0m python" in shown) is coloured


def test_json_has_all() -> None:
    """For programs: plain ASCII, and whether it is well."""
    found = json.loads(report.as_json([WELL, MEH]))
    assert found["ok"] is True
    assert found["checks"][1] == {
        "name": "proxy",
        "state": "warn",
        "what": "HTTP_PROXY is set",
        "fix": "export NO_PROXY=localhost",
    }
    assert json.loads(report.as_json([BAD]))["ok"] is False
