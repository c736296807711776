"""`tricorn usage`: what was used by key, model and day, from the store itself."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tricorn.access import usage
from tricorn.errors import StartupError
from tricorn.settings.loading import load_settings
from tricorn.storage.keys import KeyStore, day

Say = Callable[[str], None]

DAYS = 30
_HEAD = ("DAY", "KEY", "MODEL", "REQUESTS", "PROMPT", "ANSWER")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--days", type=int, default=DAYS, help=f"of the last so many ({DAYS})")
    parser.add_argument("--key", metavar="ID", help="of one key")
    parser.add_argument("--model", metavar="ID", help="of one model")
    parser.add_argument("--config", type=Path, help="settings file; default: ./tricorn.yaml")
    parser.add_argument("--json", action="store_true", help="for programs")


def run(arguments: argparse.Namespace, say: Say = print) -> int:
    """The exit code. TricornError says what cannot be done."""
    if not 1 <= arguments.days <= usage.MAX_DAYS:
        raise StartupError(f"--days: must be from 1 to {usage.MAX_DAYS}")
    settings = load_settings(config_file=arguments.config)
    store = KeyStore(settings.data_dir)
    now = time.time()
    since, until = day(now - (arguments.days - 1) * 86400), day(now)
    try:
        rows = store.usage(since, until, arguments.key, arguments.model)
        names = {key.id: key.name for key in store.all()}
    finally:
        store.close()
    report = usage.report(rows, names, since, until)
    if arguments.json:
        say(json.dumps(report, indent=2))
    elif not rows:
        say(f"nothing was used from {since} to {until}")
    else:
        for line in _table(report):
            say(line)
    return 0


def _table(report: dict[str, Any]) -> list[str]:
    rows = [
        (one["day"], one["key_name"] or one["key"] or "without a key", one["model"], *_counts(one))
        for one in report["data"]
    ]
    cells = [_HEAD, *rows, ("total", "", "", *_counts(report["total"]))]
    widths = [max(len(row[at]) for row in cells) for at in range(len(_HEAD))]
    return [
        "  ".join(
            cell.ljust(width) if at < 3 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in cells
    ]


def _counts(one: dict[str, Any]) -> tuple[str, ...]:
    return tuple(str(one[name]) for name in usage.COUNTS)
