"""`tricorn doctor`: its flags, and the settings it looks with."""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from tricorn.doctor import runner
from tricorn.doctor.check import Check
from tricorn.place import from_environment, from_settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What `tricorn doctor` and `run.py doctor` take."""
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--quick", action="store_true", help="generate no tokens: takes a second")
    parser.add_argument("--host", help="look at this address instead of the configured one")
    parser.add_argument("--port", type=int, help="look at this port instead of the configured one")
    parser.add_argument("--config", type=Path, help="settings file; default: ./tricorn.yaml")


def before_install(arguments: argparse.Namespace, project: Path) -> int:
    """With nothing but the standard library: settings are the environment's or the defaults."""
    place = from_environment(os.environ, project)
    place = replace(place, **_address(arguments))
    return runner.run(place, quick=arguments.quick, json=arguments.json)


def with_settings(arguments: argparse.Namespace) -> int:
    """With the settings of `.env` and `tricorn.yaml`; wrong ones are a finding like others."""
    from tricorn.errors import StartupError
    from tricorn.settings.loading import load_settings

    before = []
    try:
        place = from_settings(load_settings(_address(arguments), config_file=arguments.config))
    except StartupError as error:
        fix = "change it in the environment, in .env or in tricorn.yaml (see .env.example)"
        before = [Check("settings", "fail", error.message, fix)]
        place = replace(from_environment({}), **_address(arguments))
    return runner.run(place, quick=arguments.quick, json=arguments.json, before=before)


def _address(arguments: argparse.Namespace) -> dict[str, Any]:
    """The address, as far as the flags give it."""
    given = {"host": arguments.host, "port": arguments.port}
    return {name: value for name, value in given.items() if value is not None}
