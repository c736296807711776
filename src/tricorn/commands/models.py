"""`tricorn models ls | show | load | unload | pull | rm | status`

What is on disk is known without a server; what is loaded, a server that runs tells.
"""

from __future__ import annotations

import argparse
import functools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tricorn.commands import model_tables
from tricorn.commands import pull as pull_command
from tricorn.commands.server_client import ServerClient, ServerUnreachable, connect, key_for
from tricorn.commands.terminal_bar import Bar
from tricorn.engines.spec import ModelSpec
from tricorn.errors import StartupError
from tricorn.place import from_settings
from tricorn.settings.config import Settings
from tricorn.settings.loading import load_settings

Say = Callable[[str], None]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    ls = actions.add_parser("ls", help="the models there are")
    show = actions.add_parser("show", help="all that is known of a model")
    load = actions.add_parser("load", help="load a model into memory")
    unload = actions.add_parser("unload", help="take a model out of memory")
    pull = actions.add_parser("pull", help="fetch a model from the Hugging Face hub")
    rm = actions.add_parser("rm", help="delete a model's files")
    status = actions.add_parser("status", help="what is loaded, and what it takes")
    for one in (show, load, unload, rm):
        one.add_argument("name", metavar="NAME", help="the model's id")
    for one in (ls, show, load, unload, rm, status):
        one.add_argument("--config", type=Path, help="settings file; default: ./tricorn.yaml")
        one.add_argument("--url", help="of the server; default: HOST and PORT of the settings")
        one.add_argument("--api-key", help="for the server; default: TRICORN_API_KEY")
    for one in (ls, show, status):
        one.add_argument("--json", action="store_true", help="for programs")
    _add_options(load)
    unload.add_argument("--force", action="store_true", help="end what runs, and a pinned one too")
    rm.add_argument("--yes", action="store_true", help="do not ask")
    pull_command.add_arguments(pull)


def _add_options(load: argparse.ArgumentParser) -> None:
    load.add_argument("--path", help="a file or folder, for a name that is new")
    load.add_argument("--engine", help="llamacpp, vllm or mlx")
    load.add_argument("--context-length", type=int, help="tokens that a sequence may hold")
    load.add_argument("--replicas", type=int, help="engine processes side by side")
    load.add_argument("--ttl", help="unload it after so long without a request: 10m, never")
    load.add_argument("--pin", action="store_true", help="never unload it for another model")
    load.add_argument(
        "--arg",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a start-up parameter of the engine; VALUE as JSON or as text; may be repeated",
    )


def run(arguments: argparse.Namespace, say: Say = print) -> int:
    """The exit code. TricornError says what cannot be done."""
    if arguments.action == "pull":
        return pull_command.run(arguments)
    settings = load_settings(config_file=arguments.config)
    key = key_for(settings, given=arguments.api_key, elsewhere=bool(arguments.url))
    client = connect(settings, url=arguments.url, key=key)
    try:
        return _ACTIONS[arguments.action](arguments, settings, client, say)
    except ServerUnreachable as error:
        start = from_settings(settings).start
        raise ServerUnreachable(f"{error.message}; {start} starts one") from error


# --- with or without a server ---------------------------------------------------------------------


def _list(arguments: argparse.Namespace, settings: Settings, client: ServerClient, say: Say) -> int:
    models = _known(arguments, settings, client)
    if arguments.json:
        say(json.dumps(models, indent=2))
    elif not models:
        say(f"there are no models in {settings.model_base_path}")
    else:
        for line in model_tables.listed(models):
            say(line)
    return 0


def _show(arguments: argparse.Namespace, settings: Settings, client: ServerClient, say: Say) -> int:
    models = {model["id"]: model for model in _known(arguments, settings, client)}
    model = models.get(arguments.name)
    if model is None:
        raise StartupError(
            f"there is no model {arguments.name!r}; there are: {', '.join(models) or 'none'}"
        )
    if arguments.json:
        say(json.dumps(model, indent=2))
    else:
        for line in model_tables.shown(model):
            say(line)
    return 0


def _known(
    arguments: argparse.Namespace, settings: Settings, client: ServerClient
) -> list[dict[str, Any]]:
    """Every model, broken ones too: as the catalog has it, with the state that a server tells."""
    states: dict[str, str] = {}
    try:
        states = {one["id"]: one["tricorn"]["state"] for one in client.get("/v1/models")["data"]}
    except ServerUnreachable:
        if arguments.url:
            raise  # it was asked for
    specs = _catalog(settings)
    found = [model_tables.of_spec(spec, states.get(spec.id)) for spec in specs.values()]
    there = {model["id"] for model in found}
    found += [model_tables.elsewhere(name, state) for name, state in states.items()
              if name not in there]  # fmt: skip
    return sorted(found, key=lambda model: str(model["id"]))


def _catalog(settings: Settings) -> dict[str, ModelSpec]:
    # Imported here: the other commands need no look at the machine.
    from tricorn.hardware import facts
    from tricorn.hardware.choice import choose_engine
    from tricorn.manager.catalog.catalog import Catalog

    machine = facts.detect(engines_dir=settings.engines_dir)
    return Catalog(settings, functools.partial(choose_engine, machine), machine).scan()


def _remove(
    arguments: argparse.Namespace, settings: Settings, client: ServerClient, say: Say
) -> int:
    """By the server where one runs, for it knows who uses the files."""
    from tricorn.manager.desk import deletion

    if client.is_up():
        if not (arguments.yes or _confirmed(f"Delete the files of {arguments.name}?")):
            return 1
        gone = client.ask("DELETE", f"/v1/models/{_quoted(arguments.name)}")
        say(f"deleted: {', '.join(gone['files'])}")
        return 0
    specs = _catalog(settings)
    if arguments.name not in specs:
        raise StartupError(
            f"there is no model {arguments.name!r}; there are: {', '.join(specs) or 'none'}"
        )
    plan = deletion.plan(specs[arguments.name], specs, settings.model_base_path)
    if not (arguments.yes or _confirmed(f"Delete {', '.join(plan.names())}?")):
        return 1
    deletion.carry_out(plan)
    say(f"deleted: {', '.join(plan.names())}")
    return 0


def _confirmed(question: str) -> bool:
    try:
        return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False


# --- with a server --------------------------------------------------------------------------------


def _load(arguments: argparse.Namespace, settings: Settings, client: ServerClient, say: Say) -> int:
    options = {
        "model_path": arguments.path and str(Path(arguments.path).expanduser().resolve()),
        "engine_type": arguments.engine,
        "context_length": arguments.context_length,
        "replicas": arguments.replicas,
        "ttl": arguments.ttl,
        "pinned": arguments.pin or None,
        "engine_args": _engine_args(arguments.arg) or None,
    }
    body = {"model_name": arguments.name, "stream": True}
    body |= {name: value for name, value in options.items() if value is not None}
    bar, told = Bar(arguments.name), {}
    try:
        for told in client.events("POST", "/v1/models/load", body):
            if told.get("object") == "progress":
                bar.update(told["progress"], str(told["status"]))
    finally:
        bar.close()
    for line in model_tables.loaded(told):
        say(line)
    return 0


def _engine_args(pairs: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not (name and equals):
            raise StartupError(f"--arg {pair}: write NAME=VALUE")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found


def _unload(
    arguments: argparse.Namespace, settings: Settings, client: ServerClient, say: Say
) -> int:
    force = "?force=true" if arguments.force else ""
    client.ask("DELETE", f"/v1/models/{_quoted(arguments.name)}/unload{force}")
    say(f"{arguments.name} is unloaded")
    return 0


def _status(
    arguments: argparse.Namespace, settings: Settings, client: ServerClient, say: Say
) -> int:
    system = client.get("/v1/system/status")
    names = [one["id"] for one in client.get("/v1/models")["data"]]
    found = [client.get(f"/v1/models/{_quoted(name)}/status?capabilities=false") for name in names]
    models = {status["id"]: status for status in found}  # adapters are told of as their models
    if arguments.json:
        say(json.dumps({"system": system, "models": list(models.values())}, indent=2))
        return 0
    for line in model_tables.status(system, models.values()):
        say(line)
    return 0


def _quoted(name: str) -> str:
    return quote(name, safe="/:@")


_ACTIONS: dict[str, Callable[[argparse.Namespace, Settings, ServerClient, Say], int]] = {
    "ls": _list,
    "show": _show,
    "load": _load,
    "unload": _unload,
    "rm": _remove,
    "status": _status,
}
