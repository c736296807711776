"""`tricorn gateway restart`: new gateway processes for the old ones, while models stay loaded."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tricorn.commands.server_client import connect, key_for
from tricorn.settings.loading import load_settings

Say = Callable[[str], None]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    restart = actions.add_parser(
        "restart", help="take over changed code and settings; models stay, streams finish"
    )
    restart.add_argument("--url", help="of the server; default: HOST and PORT of the settings")
    restart.add_argument("--api-key", help="for the server; default: TRICORN_API_KEY")
    restart.add_argument("--config", type=Path, help="settings file; default: ./tricorn.yaml")


def run(arguments: argparse.Namespace, say: Say = print) -> int:
    """The exit code. TricornError where the old gateway serves on, or there is none."""
    settings = load_settings(config_file=arguments.config)
    elsewhere = arguments.url is not None
    key = key_for(settings, given=arguments.api_key, elsewhere=elsewhere)
    client = connect(settings, url=arguments.url, key=key)
    for line in _lines(client.ask("POST", "/v1/admin/gateway/restart")):
        say(line)
    return 0


def _lines(told: dict[str, Any]) -> list[str]:
    workers = "1 process" if told["workers"] == 1 else f"{told['workers']} processes"
    lines = [
        f"a new gateway ({told['pid']}) serves after {told['duration_s']:.1f} s, with {workers};"
        f" the old one ({told['replaced_pid']}) finishes its requests"
    ]
    if told["changed"]:
        lines.append(f"taken over: {', '.join(told['changed'])}")
    if told["needs_restart"]:
        lines.append(f"these need a restart of Tricorn: {', '.join(told['needs_restart'])}")
    return lines
