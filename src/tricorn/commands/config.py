"""`tricorn config check`: what the settings come to, and what is wrong with them."""

from __future__ import annotations

import argparse
import functools
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tricorn import logs
from tricorn.engines.spec import ModelSpec
from tricorn.errors import StartupError
from tricorn.settings import masking
from tricorn.settings.config import Settings
from tricorn.settings.loading import Loaded, load

ADD_UP = frozenset({"models", "engine_args"})
"""What several sources say of these holds together."""
TWICE = ("http_proxy", "https_proxy", "no_proxy")
"""Names that are usual in small letters too."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Row:
    """A setting that is not the default."""

    name: str
    value: Any
    """As it may be shown."""
    source: str


@dataclass(frozen=True)
class Model:
    """An entry of `models:`."""

    name: str
    engine: str
    why: str
    """That engine."""
    format: str
    path: str
    aliases: tuple[str, ...]
    fault: str | None


@dataclass
class Findings:
    settings: list[Row] = field(default_factory=list)
    models: list[Model] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What `tricorn config` takes."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    check = actions.add_parser("check", help="what the settings come to, and what is wrong")
    check.add_argument("--config", type=Path, help="settings file; default: ./tricorn.yaml")
    check.add_argument("--json", action="store_true", help="print JSON instead of tables")


def run(arguments: argparse.Namespace, say: Say) -> int:
    """Print what was found; 0, or 1 where something is wrong."""
    logs.set_up(level="ERROR", process="config")  # warnings are among the findings
    try:
        loaded = load(config_file=arguments.config)
    except StartupError as error:
        found = Findings(errors=[error.message])
    else:
        found = examine(loaded, os.environ)
    if arguments.json:
        say(json.dumps({"ok": not found.errors} | asdict(found), indent=2, ensure_ascii=False))
    else:
        tell(found, say)
    return 1 if found.errors else 0


def examine(loaded: Loaded, environ: Mapping[str, str]) -> Findings:
    """Look at this machine and at the models, as a start would."""
    # Imported here: a file that cannot be read is told of at once.
    from tricorn.hardware import facts
    from tricorn.hardware.choice import Preferences, choose_engine, require_possible
    from tricorn.manager.catalog.catalog import Catalog

    settings = loaded.settings
    found = Findings(rows(loaded))
    found.warnings += _conflicts(loaded, environ) + _in_vain(settings)
    machine = facts.detect(engines_dir=settings.engines_dir)
    try:
        require_possible(machine, Preferences(settings.inference_engine, settings.device_type))
    except StartupError as error:
        found.errors.append(error.message)
    specs = Catalog(settings, functools.partial(choose_engine, machine), machine).scan()
    found.models = [_model(specs[name]) for name in settings.models]
    found.errors += [f"models.{one.name}: {one.fault}" for one in found.models if one.fault]
    found.warnings += [warning for spec in specs.values() for warning in spec.warnings]
    wanted = settings.default_model
    known = {*specs, *(alias for spec in specs.values() for alias in spec.aliases)}
    if wanted is not None and wanted not in known:
        found.errors.append(f"default_model: there is no model {wanted!r}")
    return found


def rows(loaded: Loaded) -> list[Row]:
    """Every setting that is not the default, in the order in which they are declared."""
    found = []
    for name, about in Settings.model_fields.items():
        value = getattr(loaded.settings, name)
        if name == "models" or value == about.get_default(call_default_factory=True):
            continue
        # `models: defaults:` came as one of the models.
        origin = loaded.origins.get(name) or loaded.origins.get("models") or ["default"]
        source = f"{name.upper()} in the environment" if origin[0] == "environment" else origin[0]
        found.append(Row(name, masking.shown(value, name), source))
    return found


def _conflicts(loaded: Loaded, environ: Mapping[str, str]) -> list[str]:
    """What was said more than once."""
    said = []
    for name, (first, *others) in loaded.origins.items():
        if others and name not in ADD_UP:
            said.append(f"{name} is given by {first}, which counts, and by {' and '.join(others)}")
    for name in TWICE:
        small, capitals = environ.get(name), environ.get(name.upper())
        if small and capitals and small != capitals:
            said.append(f"the environment has {name} and {name.upper()}, and they differ")
    return said


def _in_vain(settings: Settings) -> list[str]:
    said = []
    most, entries = settings.max_concurrent_models, settings.models.items()
    pinned = [name for name, entry in entries if entry.pinned or entry.preload]
    if 0 < most < len(pinned):
        said.append(
            f"{len(pinned)} models are pinned or loaded at start ({', '.join(pinned)}), and"
            f" max_concurrent_models is {most}"
        )
    if not settings.model_base_path.is_dir():
        said.append(f"model_base_path: there is no folder {settings.model_base_path}")
    said += [
        f"allowed_model_paths: there is no folder {path}"
        for path in settings.allowed_model_paths
        if not Path(path).expanduser().is_dir()
    ]
    return said


def _model(spec: ModelSpec) -> Model:
    return Model(
        name=spec.id,
        engine=spec.engine,
        why=spec.engine_reason,
        format=spec.format,
        path=spec.path,
        aliases=spec.aliases,
        fault=spec.fault,
    )


def tell(found: Findings, say: Say) -> None:
    """For people."""
    if found.settings:
        say("Settings that are not the default:")
        width = max(len(row.name) for row in found.settings)
        for row in found.settings:
            value = row.value if isinstance(row.value, str) else json.dumps(row.value)
            say(f"  {row.name.ljust(width)}  {value}   ({row.source})")
    elif not found.errors:
        say("All settings are the defaults.")
    if found.models:
        say("Models in the settings:")
    for model in found.models:
        names = f", also called {', '.join(model.aliases)}" if model.aliases else ""
        say(f"  {model.name}{names}")
        if model.fault:
            say(f"    cannot be served: {model.fault}")
        else:
            say(f"    {model.format}, served by {model.engine}: {model.why}")
    for warning in found.warnings:
        say(f"Warning: {warning}")
    for error in found.errors:
        say(f"Error: {error}")
    if not found.errors:
        say("The settings can be used.")
