"""`tricorn keys create | ls | revoke | rotate`, on the store itself: a server that runs goes by it
within a second."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tricorn.access.permissions import PERMISSIONS, USING
from tricorn.access.terms import terms
from tricorn.errors import StartupError
from tricorn.settings.config import Settings
from tricorn.settings.loading import load_settings
from tricorn.settings.quantities import FOREVER, seconds
from tricorn.storage.keys import KeyStore, StoredKey

Say = Callable[[str], None]

_COUNTS = {
    "requests_per_minute": "requests per minute",
    "tokens_per_minute": "tokens per minute, of prompts and answers",
    "concurrent_requests": "requests at the same time",
    "daily_tokens": "tokens a day (UTC)",
    "monthly_tokens": "tokens a calendar month (UTC)",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    create = actions.add_parser("create", help="make a key; it is shown this once")
    ls = actions.add_parser("ls", help="the keys there are")
    revoke = actions.add_parser("revoke", help="refuse a key from now on, for good")
    rotate = actions.add_parser("rotate", help="another key with the same id and limits")
    create.add_argument("name", metavar="NAME", help="for people: whose it is")
    for one in (revoke, rotate):
        one.add_argument("id", metavar="ID", help="as `keys ls` shows it")
    ls.add_argument("--all", action="store_true", help="those that are revoked or expired, too")
    for one in (create, ls, revoke, rotate):
        one.add_argument("--config", type=Path, help="settings file; default: ./tricorn.yaml")
        one.add_argument("--json", action="store_true", help="for programs")
    _add_terms(create)


def _add_terms(create: argparse.ArgumentParser) -> None:
    create.add_argument(
        "--permission",
        action="append",
        metavar="NAME",
        help=f"one of {', '.join(PERMISSIONS)}; may be repeated; default: {', '.join(USING)}",
    )
    create.add_argument(
        "--model", action="append", metavar="PATTERN", help="models it may use: qwen*; repeatable"
    )
    for name, text in _COUNTS.items():
        create.add_argument(f"--{name.replace('_', '-')}", type=int, metavar="N", help=text)
    create.add_argument("--weight", type=float, help="of its turn where keys wait (1)")
    create.add_argument("--expires", metavar="TIME", help="how long it holds: 12h, 30d")
    create.add_argument(
        "--reasoning-field",
        metavar="NAME",
        help="both, reasoning_content or reasoning; default: REASONING_FIELD",
    )


def run(arguments: argparse.Namespace, say: Say = print) -> int:
    """The exit code. TricornError says what cannot be done."""
    settings = load_settings(config_file=arguments.config)
    store = KeyStore(settings.data_dir)
    try:
        return _ACTIONS[arguments.action](arguments, settings, store, say)
    finally:
        store.close()


def _create(arguments: argparse.Namespace, settings: Settings, store: KeyStore, say: Say) -> int:
    given: dict[str, Any] = {
        "permissions": arguments.permission,
        "models": arguments.model,
        "weight": arguments.weight,
        "reasoning_field": arguments.reasoning_field,
        **{name: getattr(arguments, name) for name in _COUNTS},
    }
    try:
        wanted = terms({name: value for name, value in given.items() if value is not None})
    except ValueError as error:
        raise StartupError(f"the key cannot be made: {error}") from error
    expires = None if arguments.expires is None else _expiry(arguments.expires)
    key, text = store.create(arguments.name, wanted, expires)
    _told_once(arguments, key, text, settings, say)
    return 0


def _expiry(text: str) -> float | None:
    try:
        held = seconds(text)
    except ValueError as error:
        raise StartupError(f"--expires: {error}") from error
    return None if held == FOREVER else time.time() + held


def _list(arguments: argparse.Namespace, settings: Settings, store: KeyStore, say: Say) -> int:
    keys = store.all(live=not arguments.all)
    if arguments.json:
        say(json.dumps([key.told() for key in keys], indent=2))
        return 0
    if not keys:
        say(f"there are no keys in {settings.data_dir}")
    for key in keys:
        say(_line(key))
    return 0


def _revoke(arguments: argparse.Namespace, settings: Settings, store: KeyStore, say: Say) -> int:
    key = store.revoke(arguments.id)
    say(json.dumps(key.told(), indent=2) if arguments.json else f"{key.id} ({key.name}) is revoked")
    return 0


def _rotate(arguments: argparse.Namespace, settings: Settings, store: KeyStore, say: Say) -> int:
    key, text = store.rotate(arguments.id)
    _told_once(arguments, key, text, settings, say)
    return 0


def _told_once(
    arguments: argparse.Namespace, key: StoredKey, text: str, settings: Settings, say: Say
) -> None:
    if arguments.json:
        say(json.dumps(key.told() | {"key": text}, indent=2))
        return
    say(f"{text}\n\nThat is the key of {key.id} ({key.name}). It is kept nowhere: copy it now.")


def _line(key: StoredKey) -> str:
    told = key.terms
    facts = [",".join(told.permissions), ",".join(told.models) or "all models"]
    facts += [f"{name}={value}" for name in _COUNTS if (value := getattr(told, name)) is not None]
    if key.revoked is not None:
        facts.append(f"revoked {_day(key.revoked)}")
    elif key.expires is not None:
        facts.append(f"expires {_day(key.expires)}")
    used = "never used" if key.last_used is None else f"used {_day(key.last_used)}"
    return f"{key.id}  {key.hint:<5}  {key.name}  {'  '.join(facts)}  {used}"


def _day(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(at))


_ACTIONS: dict[str, Callable[[argparse.Namespace, Settings, KeyStore, Say], int]] = {
    "create": _create,
    "ls": _list,
    "revoke": _revoke,
    "rotate": _rotate,
}
