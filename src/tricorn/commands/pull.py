"""`tricorn pull NAME`: fetch a model from the hub into MODEL_BASE_PATH.

Needs no running server; one that runs finds the files by itself.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import NoReturn

from tricorn.commands.terminal_bar import Bar, amount, size
from tricorn.errors import TricornError
from tricorn.hub import environment, names
from tricorn.hub.updates import Done, Plan, Progress, Update, Verifying, Waiting
from tricorn.place import from_settings
from tricorn.settings.loading import load_settings

INTERRUPTED = 130
TERMINATED = 143


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "name",
        metavar="NAME",
        help="ORG/NAME on the hub; :QUANT or :FILE.gguf after it, or @REVISION",
    )
    parser.add_argument("--quiet", action="store_true", help="print the model's id only")
    parser.add_argument("--config", type=Path, help="settings file; default: ./tricorn.yaml")


def run(arguments: argparse.Namespace) -> int:
    """The exit code: 0 it is there, 130 interrupted. TricornError says why it cannot be had."""
    wanted = names.parse(arguments.name)
    settings = load_settings(config_file=arguments.config)
    place = from_settings(settings)
    # Before the import below: huggingface_hub reads its environment when it is imported.
    os.environ.update(environment.of_pull(settings, os.environ))
    from tricorn.hub.pull import pull

    shown = _Quiet() if arguments.quiet else _Shown(str(wanted))
    before = signal.signal(signal.SIGTERM, _terminated)
    try:
        done = pull(wanted, settings.model_base_path, shown.tell)
    except (KeyboardInterrupt, _Terminated) as stop:
        shown.close()
        print(
            f"tricorn: stopped; what has come is kept: {place.command} pull {wanted} goes on",
            file=sys.stderr,
        )
        return TERMINATED if isinstance(stop, _Terminated) else INTERRUPTED
    except TricornError:
        shown.close()
        raise
    finally:
        signal.signal(signal.SIGTERM, before)
    shown.close()
    if arguments.quiet:
        print("\n".join(done.models))
    else:
        new = f"{size(done.fetched)} fetched" if done.fetched else "it was there already"
        print(f"{', '.join(done.models)}: {new}; a running Tricorn lists it within seconds")
    return 0


class _Terminated(BaseException):
    """SIGTERM."""


def _terminated(number: int, frame: FrameType | None) -> NoReturn:
    raise _Terminated


class _Quiet:
    def tell(self, update: Update) -> None:
        pass

    def close(self) -> None:
        pass


class _Shown(_Quiet):
    """A bar over all files, with the name of the one that comes."""

    def __init__(self, name: str) -> None:
        self._bar = Bar(name)
        self._bar.update(None, "asking the hub")
        self._share: float | None = None

    def tell(self, update: Update) -> None:
        match update:
            case Waiting():
                self._bar.update(self._share, update.reason)
            case Plan():
                left = update.total - update.completed
                count = len(update.files)
                files = update.files[0].name if count == 1 else f"{count} files"
                if left:
                    self._bar.close(f"{files}, {size(update.total)}, {size(left)} to fetch")
            case Progress():
                self._share = update.completed / max(1, update.total)
                words = amount(
                    update.completed, update.total, update.bytes_per_second, update.eta_s
                )
                self._bar.update(self._share, words, title=update.file)
            case Verifying():
                self._bar.update(self._share, "checking what is there", title=update.file)
            case Done():
                pass

    def close(self) -> None:
        self._bar.close()
