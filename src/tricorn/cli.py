"""The command `tricorn`. `tricorn serve` becomes the manager process."""

from __future__ import annotations

import argparse
import functools
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from tricorn import __version__, logs, tls
from tricorn.commands import config as config_command
from tricorn.commands import engines as engine_commands
from tricorn.commands import gateway as gateway_command
from tricorn.commands import keys as keys_command
from tricorn.commands import logs as logs_command
from tricorn.commands import models as models_command
from tricorn.commands import pull as pull_command
from tricorn.commands import usage as usage_command
from tricorn.doctor import command as doctor
from tricorn.errors import StartupError, TricornError
from tricorn.installing import default_model, installer
from tricorn.installing.install_faults import InstallError
from tricorn.manager.catalog import gguf_names, hf_folder
from tricorn.place import from_settings
from tricorn.settings.config import ModelSettings, Settings
from tricorn.settings.hidden_flags import OF_COMMANDS, VARIABLE, hide
from tricorn.settings.loading import Loaded, load, load_settings

if sys.platform == "win32":
    from tricorn import windows

USAGE_ERROR = 2
INTERRUPTED = 130


def build_parser() -> argparse.ArgumentParser:
    """The command line. run.py hands its flags on to `serve` as they are."""
    parser = argparse.ArgumentParser(
        prog="tricorn", description="One OpenAI-compatible endpoint over local inference engines."
    )
    parser.add_argument("--version", action="version", version=f"tricorn {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    serve = commands.add_parser("serve", help="serve models over HTTP until stopped")
    add_serve_flags(serve)
    examine = commands.add_parser("doctor", help="what is missing here, and what mends it")
    doctor.add_arguments(examine)
    engines = commands.add_parser("engines", help="list, install and remove engines")
    engine_commands.add_arguments(engines)
    config = commands.add_parser("config", help="look at the settings")
    config_command.add_arguments(config)
    models = commands.add_parser("models", help="list, load, unload and delete models")
    models_command.add_arguments(models)
    gateway = commands.add_parser("gateway", help="restart the gateway alone, while models stay")
    gateway_command.add_arguments(gateway)
    lines = commands.add_parser("logs", help="show what was logged, and what is")
    logs_command.add_arguments(lines)
    pull = commands.add_parser("pull", help="fetch a model from the Hugging Face hub")
    pull_command.add_arguments(pull)
    keys = commands.add_parser("keys", help="make, list and revoke API keys")
    keys_command.add_arguments(keys)
    usage = commands.add_parser("usage", help="what was used, by key, model and day")
    usage_command.add_arguments(usage)
    return parser


def add_serve_flags(parser: argparse.ArgumentParser) -> None:
    """What `tricorn serve` takes; a flag that is not given leaves its setting alone."""
    parser.add_argument("--mode", choices=("dev", "prod"), help="dev: reload on change")
    parser.add_argument("--host", help="address to listen on; 0.0.0.0 for every interface")
    parser.add_argument("--port", type=int, help="port to listen on")
    parser.add_argument("--model", help="id of the model to load at start, or a path to a model")
    parser.add_argument("--workers", type=int, help="gateway processes")
    parser.add_argument("--config", type=Path, help="settings file; default: ./tricorn.yaml")
    parser.add_argument(
        "--api-key",
        action="append",
        metavar="KEY",
        help="a key that requests need and that may do everything; may be repeated",
    )
    parser.add_argument("--debug", action="store_true", help="log more")
    parser.add_argument(
        "--skip-check", action="store_true", help="check and install nothing, use what is there"
    )
    parser.add_argument(
        "--without-gateway",
        action="store_true",
        help="the manager and the engines only; the gateway is started by hand",
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code: 0 well, 1 it cannot start, 2 wrong usage."""
    if sys.platform == "win32":
        windows.prepare_console()
    try:
        arguments = build_parser().parse_args(argv)
    except SystemExit as leaving:  # --help and --version, or a wrong flag: argparse has spoken
        return leaving.code if isinstance(leaving.code, int) else USAGE_ERROR
    try:
        if getattr(arguments, "api_key", None):
            _hide_keys(sys.argv[1:] if argv is None else argv, arguments)
        if arguments.command == "doctor":
            return doctor.with_settings(arguments)
        if arguments.command == "engines":
            place = from_settings(load_settings(config_file=arguments.config))
            return engine_commands.run(arguments, place, print)
        if arguments.command == "config":
            return config_command.run(arguments, print)
        if arguments.command == "models":
            return models_command.run(arguments)
        if arguments.command == "gateway":
            return gateway_command.run(arguments)
        if arguments.command == "logs":
            return logs_command.run(arguments, logs_command.print_line)
        if arguments.command == "pull":
            return pull_command.run(arguments)
        if arguments.command == "keys":
            return keys_command.run(arguments)
        if arguments.command == "usage":
            return usage_command.run(arguments)
        return serve(arguments)
    except TricornError as error:
        print(f"tricorn: {error.message}", file=sys.stderr)
        return 1
    except InstallError as error:
        print(f"tricorn: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("tricorn: interrupted", file=sys.stderr)
        return INTERRUPTED


def _hide_keys(argv: Sequence[str], arguments: argparse.Namespace) -> None:
    """Go on as a process in whose command line there are none; they are in its environment."""
    left = hide(argv, os.environ, VARIABLE if arguments.command == "serve" else OF_COMMANDS)
    if os.name == "posix":
        os.execv(sys.executable, [sys.executable, "-m", "tricorn.cli", *left])


def serve(arguments: argparse.Namespace) -> int:
    """Settings → engine and model present → the manager. StartupError where one of them fails."""
    # Imported here: `--version` and a wrong flag answer at once.
    from tricorn.doctor import runner as checks
    from tricorn.manager import main as manager
    from tricorn.manager.lifecycle.listening import check_port

    read_settings = functools.partial(loaded, arguments)
    first = read_settings()
    settings = first.settings
    logs.set_up(level=settings.log_level, json=settings.log_json(), process="manager")
    if not arguments.without_gateway:
        # Both before an install that takes minutes.
        check_port(settings.host, settings.port)
        tls.check(settings)
    pythons: dict[str, Path] = {}
    if not arguments.skip_check:
        pythons = install(settings, say=manager.say)
        if settings.mode == "dev":
            checks.tell_at_start(from_settings(settings), manager.say)
    return manager.run(
        settings,
        engine_python=lambda name: pythons.get(name) or installed_python(name, settings),
        with_gateway=not arguments.without_gateway,
        read_settings=read_settings,
        files=first.files,
    )


def loaded(arguments: argparse.Namespace) -> Loaded:
    """The settings of every source, `serve`'s flags among them. StartupError."""
    found = load(flags_of(arguments), config_file=arguments.config)
    if arguments.model is None:
        return found
    return replace(found, settings=with_model(found.settings, arguments.model))


def flags_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """The settings that were given as flags."""
    flags = {
        name: getattr(arguments, name)
        for name in ("mode", "host", "port", "workers")
        if getattr(arguments, name) is not None
    }
    if arguments.debug:
        flags["log_level"] = "DEBUG"
    return flags


def with_model(settings: Settings, model: str) -> Settings:
    """The settings with `model` as the default one: an id, or a path to a file or model folder."""
    path = Path(model).expanduser()
    is_folder = hf_folder.is_model(hf_folder.list_files(path))
    is_path = path.suffix.lower() == ".gguf" or path.is_file() or is_folder
    if model in settings.models or not is_path:
        return settings.model_copy(update={"default_model": model})
    if not (path.is_file() or is_folder):
        raise StartupError(f"there is no file {path}")
    path = path.resolve()
    name = path.name if is_folder else gguf_names.model_name(path)
    root = settings.model_base_path.resolve()
    if path.is_relative_to(root):  # the catalog finds it there, under its own id
        inside = name if path == root else path.relative_to(root).with_name(name).as_posix()
        return settings.model_copy(update={"default_model": inside})
    entry = settings.models.get(name, ModelSettings.model_validate({})).model_copy(
        update={"path": path, "repo": None}
    )
    models = settings.models | {name: entry}
    return settings.model_copy(update={"default_model": name, "models": models})


def install(settings: Settings, *, say: Callable[[str], None]) -> dict[str, Path]:
    """Make sure that there is a model, and the engine for it; engine → its Python. StartupError.

    Engines that only other models need are not installed here: a load that lacks one says so.
    """
    if only_fake(settings):
        return {}
    try:
        if default_model.is_wanted(settings):
            default_model.ensure(settings.model_base_path, say=say, log_dir=settings.log_dir)
    except InstallError as error:
        raise StartupError(str(error)) from error
    name = first_engine(settings)
    return {name: installer.ensure_engine(name, settings, say=say)}


def first_engine(settings: Settings) -> str:
    """The engine of the model that is loaded at start; StartupError where that cannot be served."""
    from tricorn.hardware import facts
    from tricorn.hardware.choice import choose_engine
    from tricorn.manager.catalog.catalog import Catalog
    from tricorn.manager.catalog.default_choice import pick_default

    machine = facts.detect(engines_dir=settings.engines_dir)
    specs = Catalog(settings, functools.partial(choose_engine, machine), machine).scan()
    chosen = pick_default(settings, specs)
    if chosen is not None:
        return specs[chosen].engine
    wish = settings.inference_engine
    return "llamacpp" if wish == "auto" else wish


def only_fake(settings: Settings) -> bool:
    """Whether nothing but the fake engine is set up to be used, so that none need be installed."""
    if settings.inference_engine == "fake":
        return True
    entries = settings.models.values()
    return bool(settings.models) and all(entry.engine == "fake" for entry in entries)


def installed_python(name: str, settings: Settings) -> Path:
    """The Python of an engine that is there already; StartupError where it isn't."""
    known = name == "fake" or name in installer.ENGINES
    python = installer.engine_python(name, settings.engines_dir) if known else None
    if python is None:
        command = from_settings(settings).command
        raise StartupError(
            f"the engine {name} is not installed; to install it: {command} engines install {name}"
        )
    return python


if __name__ == "__main__":
    sys.exit(main())
