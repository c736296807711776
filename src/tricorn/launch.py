"""The work behind `run.py`: install what is missing, then become the server, or run the tests.

`run.py doctor`, `run.py pull NAME` and so on are the commands of the same names of `tricorn`.

Standard library only: it runs in whatever Python the user has.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tricorn import checks
from tricorn.commands import engines as engine_commands
from tricorn.doctor import command as doctor
from tricorn.installing import default_model, environments, installer
from tricorn.installing.environment_state import Environment, has_python, is_whole
from tricorn.installing.install_faults import InstallError
from tricorn.place import from_environment
from tricorn.settings.hidden_flags import API_KEY, OF_COMMANDS, hide
from tricorn.tracing.wanted import wanted

if sys.platform == "win32":
    from tricorn import windows

COMMANDS = ("doctor", "engines")
"""They work before anything is installed."""
LATER_COMMANDS = ("config", "models", "pull", "keys", "usage", "gateway", "logs")
"""Of `tricorn`, which is installed first."""


def parse(argv: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """The flags, and what stands after `--`. Exits with a usage message where they are wrong."""
    flags, rest = list(argv), []
    if "--" in flags:
        at = flags.index("--")
        flags, rest = flags[:at], flags[at + 1 :]
    parser = argparse.ArgumentParser(
        prog="run.py",
        description="Start Tricorn: one OpenAI-compatible server over several engines.",
        epilog="In --mode test everything after -- goes to pytest: run.py --mode test -- -k chat. "
        "Further commands: run.py doctor (what is missing here, and what mends it); "
        "run.py engines ls, install NAME, remove NAME; run.py pull NAME (a model from the hub); "
        "run.py models; run.py keys; run.py usage; run.py logs; run.py gateway restart; "
        "run.py config check.",
        allow_abbrev=False,
    )
    parser.add_argument("--mode", choices=["dev", "prod", "test"], help="default: prod")
    parser.add_argument("--host", help="address to listen on (127.0.0.1)")
    parser.add_argument("--port", type=int, help="port to listen on (8000)")
    parser.add_argument("--model", help="the model to load at start: a name in models/ or a file")
    parser.add_argument("--workers", type=int, help="gateway processes")
    parser.add_argument("--config", help="settings file (tricorn.yaml)")
    parser.add_argument(
        API_KEY, metavar="KEY", help="a key that requests need; may be repeated (API_KEYS)"
    )
    parser.add_argument("--debug", action="store_true", help="log much more")
    parser.add_argument(
        "--skip-check", action="store_true", help="start at once, without a look at what is there"
    )
    options = parser.parse_args(flags)
    if rest and options.mode != "test":
        parser.error("arguments after -- are for pytest: they need --mode test")
    return options, rest


def serve_flags(options: argparse.Namespace, directory: Path) -> list[str]:
    """The flags for `tricorn serve`; paths made absolute, as they are relative to `directory`."""
    given: list[str] = []
    for name in ("mode", "host", "port", "model", "workers", "config"):
        value = getattr(options, name)
        if value is None:
            continue
        path = directory / str(value)
        is_model = path.is_file() or (path / "config.json").is_file()  # a model folder
        is_path = name == "config" or (name == "model" and is_model)
        given += [f"--{name}", str(path.resolve()) if is_path else str(value)]
    if options.debug:
        given.append("--debug")
    if options.skip_check:
        given.append("--skip-check")
    return given


def main(argv: Sequence[str], project: str | Path) -> int:
    """Do what the flags say; returns an exit code only where it does not become the server."""
    if sys.platform == "win32":
        windows.prepare_console()
    if argv and argv[0] in COMMANDS:
        return _command(argv[0], argv[1:], Path(project))
    if argv and argv[0] in LATER_COMMANDS:
        return _later_command(argv, Path(project))
    argv = hide(argv, os.environ)
    options, pytest_arguments = parse(argv)
    project, directory = Path(project), Path.cwd()
    # Settings, models/ and logs/ are the project folder's, wherever run.py was started from.
    os.chdir(project)
    gateway = installer.gateway_environment(project)
    try:
        if options.mode == "test":
            return _test(project, gateway, pytest_arguments, argv)
        if options.skip_check:
            if not has_python(gateway):
                raise InstallError("nothing is installed yet: run it once without --skip-check")
        else:
            _ensure_gateway(gateway, project, argv)
            if wanted(os.environ):
                environments.ensure(installer.tracing_environment(project), _say)
    except (InstallError, KeyboardInterrupt) as error:
        return _ended(error, "\nTricorn cannot start")
    python = str(gateway.python)
    return _become([python, "-m", "tricorn.cli", "serve", *serve_flags(options, directory)])


def _command(name: str, argv: Sequence[str], project: Path) -> int:
    """`doctor` or `engines`: by Tricorn's own command where it is installed, else with the standard
    library alone. Only `engines install` installs anything."""
    parser = argparse.ArgumentParser(prog=f"run.py {name}", allow_abbrev=False)
    module = doctor if name == "doctor" else engine_commands
    module.add_arguments(parser)
    flags = _with_absolute_config(argv)
    arguments = parser.parse_args(flags)
    os.chdir(project)
    gateway = installer.gateway_environment(project)
    try:
        if name == "engines" and arguments.action == "install":
            _ensure_gateway(gateway, project, [name, *flags])
        try:
            whole = is_whole(gateway)
        except InstallError:
            if name != "doctor":  # which tells it among the rest
                raise
            whole = False
        if whole:
            return _become([str(gateway.python), "-m", "tricorn.cli", name, *flags])
        if name == "doctor":
            return doctor.before_install(arguments, project)
        return engine_commands.run(arguments, from_environment(os.environ, project), _say)
    except (InstallError, KeyboardInterrupt) as error:
        return _ended(error, "run.py", interrupted="Interrupted")


def _later_command(argv: Sequence[str], project: Path) -> int:
    flags = hide(_with_absolute_config(argv), os.environ, OF_COMMANDS)
    os.chdir(project)
    gateway = installer.gateway_environment(project)
    try:
        _ensure_gateway(gateway, project, flags)
    except (InstallError, KeyboardInterrupt) as error:
        return _ended(error, "run.py")
    return _become([str(gateway.python), "-m", "tricorn.cli", *flags])


def _ended(
    error: InstallError | KeyboardInterrupt,
    title: str,
    *,
    interrupted: str = "Interrupted; the next run goes on from here.",
) -> int:
    """Say in a sentence why it goes no further; the exit code."""
    if isinstance(error, InstallError):
        print(f"{title}: {error}", file=sys.stderr)
        return 1
    print(f"\n{interrupted}", file=sys.stderr)
    return 130


def _with_absolute_config(argv: Sequence[str]) -> list[str]:
    """The flags, with the settings file named from anywhere."""
    flags = list(argv)
    for index, flag in enumerate(flags):
        name, equals, value = flag.partition("=")
        if name == "--config" and equals:
            flags[index] = f"--config={Path(value).absolute()}"
        elif name == "--config" and index + 1 < len(flags):
            flags[index + 1] = str(Path(flags[index + 1]).absolute())
    return flags


def _say(text: str) -> None:
    print(text, flush=True)


def _ensure_gateway(gateway: Environment, project: Path, argv: Sequence[str]) -> None:
    inside = Path(sys.prefix).resolve() == gateway.path.resolve()
    base = getattr(sys, "_base_executable", sys.executable)
    if inside and not is_whole(gateway) and base != sys.executable:
        # Started with .venv's own Python, which is about to be made anew: go on outside of it.
        raise SystemExit(_become([base, str(project / "run.py"), *argv]))
    environments.ensure(gateway, _say)


def _become(command: list[str]) -> int:
    """Replace this process, so that signals and the exit code are the server's own."""
    sys.stdout.flush()
    if os.name == "posix":
        os.execv(command[0], command)
    process = subprocess.Popen(command)
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue  # The child got it as well, and ends in its own time.


def _test(
    project: Path, gateway: Environment, pytest_arguments: Sequence[str], argv: Sequence[str]
) -> int:
    """Install what the tests need and run all checks; with arguments for pytest only that."""
    _ensure_gateway(gateway, project, argv)
    environments.ensure(installer.test_environment(project), _say)
    if pytest_arguments:
        _prepare_tests(project)
        _say("\n== pytest")
        # Its own code: 5 (no tests), 2 (interrupted) mean something to callers.
        return checks.call(gateway.python, project, ["pytest", *pytest_arguments])
    with checks.Checks(gateway.python, project) as begun:
        _prepare_tests(project)
        return begun.run()


def _prepare_tests(project: Path) -> None:
    """All engines that can be installed here, and the default model."""
    # Engines bring tens of thousands of modules, of which the tests import few: those are compiled
    # when they are, and that is kept, since hundreds of processes do. To pip, 0 is yes.
    os.environ.setdefault("PIP_NO_COMPILE", "0")
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    engines_dir = Path(os.environ.get("ENGINES_DIR") or ".engines")
    here = installer.machine(device=os.environ.get("DEVICE_TYPE") or "auto")
    for name in installer.ENGINES:
        reason = installer.why_impossible(name, here)
        if reason is not None:
            _say(f"The engine {name} is not installed: {reason}")
            continue
        wanted = installer.engine_environment(name, engines_dir, project=project, here=here)
        environments.ensure(wanted, _say)
    default_model.ensure(project / "models", say=_say)
