"""`tricorn logs`: the last lines of the log files in LOG_DIR, and with -f those that come.

Reads files only: it needs no running server, and no key.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from tricorn import logs
from tricorn.errors import StartupError
from tricorn.log_files import FILES, reading
from tricorn.log_files.reading import Filter, Follower, Line
from tricorn.settings.loading import load_settings

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
_SHOWN_FIRST = ("timestamp", "level", "log", "event")

Say = Callable[[str], None]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-f", "--follow", action="store_true", help="go on with what comes")
    parser.add_argument("-n", "--limit", type=_count, default=100, help="lines; default: 100")
    parser.add_argument("--model", help="only those about this model")
    parser.add_argument(
        "--level",
        type=str.upper,
        choices=LEVELS,
        default="DEBUG",
        metavar="LEVEL",
        help=f"this level and above: {', '.join(LEVELS)}",
    )
    parser.add_argument("--json", action="store_true", help="the lines as they are")
    parser.add_argument("--config", type=Path, help="settings file; default: ./tricorn.yaml")


def run(arguments: argparse.Namespace, say: Say) -> int:
    """The exit code; with -f it goes on until it is interrupted. StartupError where the settings
    or the files cannot be read."""
    folder = load_settings(config_file=arguments.config).log_dir
    _must_be_readable(folder)
    wanted = Filter(arguments.level, arguments.model)
    show = as_json if arguments.json else readable
    # Before: what comes in between is told twice rather than never.
    follower = Follower(folder)
    try:
        for line in reading.recent(folder, arguments.limit, wanted):
            say(show(line))
        if arguments.follow:
            for line in reading.follow(follower, wanted):
                say(show(line))
    except BrokenPipeError:  # of `| head`; the interpreter would complain of it once more
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _must_be_readable(folder: Path) -> None:
    """StartupError where a file is there, and is somebody else's."""
    for path in (folder, *(folder / name for name in FILES)):
        if os.path.exists(path) and not os.access(path, os.R_OK):
            raise StartupError(f"{path} can be read by the user that Tricorn runs as only")


def print_line(text: str) -> None:
    print(text, flush=True)


def as_json(line: Line) -> str:
    return logs.encode(line).decode()


def readable(line: Line) -> str:
    """`2026-01-31T12:00:00.000Z info     inference request  model=… status=200`; an exception below
    it. Characters that a terminal would obey are shown as escapes."""
    shown = {name: value for name, value in line.items() if name != "exception"}
    first = [str(shown.pop(name, "")) for name in _SHOWN_FIRST]
    facts = " ".join(f"{name}={value}" for name, value in shown.items())
    head = f"{first[0]} {first[1]:<8} {first[2]:<9} {first[3]}  {facts}"
    more = str(line.get("exception", "")).splitlines()
    return "\n".join(
        logs.printable(one).rstrip() for one in (head, *(f"    {one}" for one in more))
    )


def _count(text: str) -> int:
    count = int(text)
    if count < 0:
        raise argparse.ArgumentTypeError("must not be negative")
    return count
