"""The command `tricorn`. `tricorn serve` becomes the manager process."""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tricorn import __version__, logs
from tricorn.config import ModelSettings, Settings, load_settings
from tricorn.errors import StartupError, TricornError
from tricorn.manager import gguf

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
    return parser


def add_serve_flags(parser: argparse.ArgumentParser) -> None:
    """What `tricorn serve` takes; a flag that is not given leaves its setting alone."""
    parser.add_argument("--mode", choices=("dev", "prod"), help="dev: reload on change")
    parser.add_argument("--host", help="address to listen on; 0.0.0.0 for every interface")
    parser.add_argument("--port", type=int, help="port to listen on")
    parser.add_argument("--model", help="id of the model to load at start, or a path to a .gguf")
    parser.add_argument("--workers", type=int, help="gateway processes")
    parser.add_argument("--config", type=Path, help="settings file; default: ./tricorn.yaml")
    parser.add_argument("--debug", action="store_true", help="log more")
    parser.add_argument(
        "--skip-check", action="store_true", help="install nothing, use what is there"
    )
    parser.add_argument(
        "--without-gateway",
        action="store_true",
        help="the manager and the engines only; the gateway is started by hand",
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code: 0 well, 1 it cannot start, 2 wrong usage."""
    try:
        arguments = build_parser().parse_args(argv)
    except SystemExit as leaving:  # --help and --version, or a wrong flag: argparse has spoken
        return leaving.code if isinstance(leaving.code, int) else USAGE_ERROR
    try:
        return serve(arguments)
    except TricornError as error:
        print(f"tricorn: {error.message}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("tricorn: interrupted", file=sys.stderr)
        return INTERRUPTED


def serve(arguments: argparse.Namespace) -> int:
    """Settings → engine and model present → the manager. StartupError where one of them fails."""
    # Imported here: `--version` and a wrong flag answer at once.
    from tricorn.manager import service

    settings = load_settings(flags_of(arguments), config_file=arguments.config)
    if arguments.model is not None:
        settings = with_model(settings, arguments.model)
    logs.set_up(level=settings.log_level, json=settings.log_json(), process="manager")
    pythons = {} if arguments.skip_check else install(settings, say=service.say)
    return service.run(
        settings,
        engine_python=lambda name: pythons.get(name) or installed_python(name, settings),
        with_gateway=not arguments.without_gateway,
    )


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
    """The settings with `model` as the default one: an id, or a path to a file."""
    path = Path(model).expanduser()
    if model in settings.models or not (path.suffix.lower() == ".gguf" or path.is_file()):
        return settings.model_copy(update={"default_model": model})
    if not path.is_file():
        raise StartupError(f"there is no file {path}")
    path, name = path.resolve(), gguf.model_name(path)
    root = settings.model_base_path.resolve()
    if path.is_relative_to(root):  # the catalog finds it there, under its own id
        inside = path.relative_to(root).with_name(name).as_posix()
        return settings.model_copy(update={"default_model": inside})
    entry = settings.models.get(name, ModelSettings.model_validate({})).model_copy(
        update={"path": path}
    )
    models = settings.models | {name: entry}
    return settings.model_copy(update={"default_model": name, "models": models})


def install(settings: Settings, *, say: Callable[[str], None]) -> dict[str, Path]:
    """Make sure that there is an engine, and a model; engine → its Python. StartupError."""
    from tricorn import installer
    from tricorn.environments import InstallError

    if only_fake(settings):
        return {}
    try:
        python = installer.ensure_engine("llamacpp", settings, say=say)
        if installer.wants_default_model(settings):
            installer.ensure_default_model(
                settings.model_base_path, say=say, log_dir=settings.log_dir
            )
    except InstallError as error:
        raise StartupError(str(error)) from error
    return {"llamacpp": python}


def only_fake(settings: Settings) -> bool:
    """Whether nothing but the fake engine is set up to be used, so that none need be installed."""
    if settings.inference_engine == "fake":
        return True
    entries = settings.models.values()
    return bool(settings.models) and all(entry.engine == "fake" for entry in entries)


def installed_python(name: str, settings: Settings) -> Path:
    """The Python of an engine that is there already; StartupError where it isn't."""
    from tricorn import installer

    if name == "fake":
        return Path(sys.executable)
    if name in installer.ENGINES:
        own = installer.engine_environment(name, settings.engines_dir, log_dir=settings.log_dir)
        if own.python.exists():
            return own.python
        # Only looked for, never imported: this process is the manager.
        if importlib.util.find_spec(installer.ENGINES[name].module) is not None:
            return Path(sys.executable)
    raise StartupError(f"the engine {name} is not installed; start once without --skip-check")


if __name__ == "__main__":
    sys.exit(main())
