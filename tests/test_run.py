"""run.py reads its flags, installs what is missing and becomes the server."""

from __future__ import annotations

import ast
import os
import runpy
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import TextIO

import pytest
from tests.installing.closed import close

from tricorn import checks, launch
from tricorn.commands import engines as engine_commands
from tricorn.doctor import command as doctor
from tricorn.installing import default_model, environments, installer
from tricorn.installing.engine_installs import Machine
from tricorn.installing.environment_state import Environment
from tricorn.installing.install_faults import InstallError

PROJECT = Path(__file__).resolve().parents[1]
NO_COMPILE, DONT_KEEP_COMPILED = "PIP_NO_COMPILE", "PYTHONDONTWRITEBYTECODE"
SOURCE = PROJECT / "src" / "tricorn"
BEFORE_INSTALL = [
    "__init__",
    "checks",
    "commands.engines",
    *(f"doctor.{file.stem}" for file in sorted((SOURCE / "doctor").glob("[a-z]*.py"))),
    *(f"hardware.{file.stem}" for file in sorted((SOURCE / "hardware").glob("[a-z]*.py"))),
    *(f"installing.{file.stem}" for file in sorted((SOURCE / "installing").glob("[a-z]*.py"))),
    "launch",
    "place",
    "settings.hidden_flags",
    "tracing.wanted",
    "windows",
]
FOLDERS = ("commands", "doctor", "hardware", "installing", "settings", "tracing")
PACKAGES = ("tricorn", *(f"tricorn.{folder}" for folder in FOLDERS))
for later in ("doctor.generation", "hardware.choice", "hardware.reasons"):
    BEFORE_INSTALL.remove(later)  # only imported where Tricorn is installed


@pytest.fixture
def became(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Commands that run.py became; none truly is."""
    seen: list[list[str]] = []

    def become(command: list[str]) -> int:
        seen.append(command)
        return 0

    monkeypatch.setattr(launch, "_become", become)
    monkeypatch.chdir(PROJECT)
    return seen


@pytest.fixture
def ensured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Environments that were asked for."""
    seen: list[str] = []

    def ensure(environment: Environment, say: object) -> Path:
        seen.append(environment.title)
        return environment.python

    monkeypatch.setattr(environments, "ensure", ensure)
    monkeypatch.setenv(NO_COMPILE, "")  # put back at the end, whoever sets it
    monkeypatch.delenv(NO_COMPILE)
    monkeypatch.setenv(DONT_KEEP_COMPILED, "1")
    # Else it goes on outside of .venv, which these tests may run in and which may be outdated.
    monkeypatch.setattr(launch, "is_whole", lambda _: True)
    return seen


@pytest.mark.parametrize("module", BEFORE_INSTALL)
def test_what_runs_before_the_install_needs_no_package(module: str) -> None:
    """Only the standard library and each other are imported."""
    file = SOURCE / f"{module.replace('.', '/')}.py"
    tree = ast.parse(file.read_text(encoding="utf-8"))
    names: set[str] = set()
    lazy = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.If)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in lazy:
            continue
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module in PACKAGES:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    ours = {f"tricorn.{name}" for name in BEFORE_INSTALL} | {"tricorn"}
    foreign = {n for n in names if n.split(".")[0] not in sys.stdlib_module_names} - ours
    assert foreign == set()


def test_an_old_python_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One sentence with the fix, before anything that an old Python cannot read."""
    monkeypatch.setattr(sys, "version_info", (3, 8, 18, "final", 0))
    main = runpy.run_path(str(PROJECT / "run.py"))["main"]
    assert main() == 1
    message = capsys.readouterr().err
    assert "needs Python 3.11 or newer, and this is Python 3.8" in message
    assert "python3.12 run.py" in message


def test_an_old_python_can_read_run_py() -> None:
    """No syntax that came after Python 3.0, which is also what Python 2.7 reads here."""
    tree = ast.parse((PROJECT / "run.py").read_text(encoding="utf-8"), feature_version=(3, 4))
    for node in ast.walk(tree):
        assert not isinstance(node, ast.JoinedStr | ast.AnnAssign | ast.NamedExpr | ast.Match)
        if isinstance(node, ast.FunctionDef):
            assert node.returns is None


def test_packages_of_traces_are_installed_where_they_are_wanted(
    became: list[list[str]], ensured: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """By OpenTelemetry's own variables; otherwise never."""
    launch.main([], PROJECT)
    assert "tracing" not in ensured
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")
    launch.main([], PROJECT)
    assert ensured[-2:] == ["gateway", "tracing"]
    assert len(became) == 2


def test_flags_go_on_to_the_server(became: list[list[str]], ensured: list[str]) -> None:
    """As they were given, and only those that were given."""
    flags = ["--mode", "dev", "--host", "0.0.0.0", "--port", "81", "--workers", "3", "--debug"]
    launch.main([*flags, "--model", "tiny"], PROJECT)
    python = str(installer.gateway_environment(PROJECT).python)
    wanted = ["--mode", "dev", "--host", "0.0.0.0", "--port", "81", "--model", "tiny"]
    assert became == [[python, "-m", "tricorn.cli", "serve", *wanted, "--workers", "3", "--debug"]]
    assert ensured == ["gateway"]


def test_paths_are_the_callers(
    became: list[list[str]], ensured: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--config and a model file are looked for where run.py was started, not where it lies."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.gguf").write_bytes(b"GGUF")
    launch.main(["--config", "my.yaml", "--model", "tiny.gguf"], PROJECT)
    model, config = str(tmp_path / "tiny.gguf"), str(tmp_path / "my.yaml")
    assert became[0][4:] == ["--model", model, "--config", config]
    assert Path.cwd() == PROJECT


def test_a_model_folder_is_a_path(
    became: list[list[str]], ensured: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So is a folder that is a model; another folder's name is left as it is."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny/config.json").write_text("{}")
    (tmp_path / "other").mkdir()
    launch.main(["--model", "tiny"], PROJECT)
    monkeypatch.chdir(tmp_path)
    launch.main(["--model", "other"], PROJECT)
    assert [command[4:] for command in became] == [
        ["--model", str(tmp_path / "tiny")],
        ["--model", "other"],
    ]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--modle", "x"], "--modle"),
        (["--mode", "fast"], "invalid choice: 'fast'"),
        (["--port", "abc"], "usage: run.py"),
        (["--", "-k", "x"], "--mode test"),
    ],
)
def test_wrong_flags_are_refused(
    flags: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With exit code 2 and the reason."""
    with pytest.raises(SystemExit) as ended:
        launch.parse(flags)
    assert ended.value.code == 2
    assert words in capsys.readouterr().err


def test_what_cannot_be_installed_is_one_sentence(
    became: list[list[str]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """No traceback, exit code 1, and nothing is started."""

    def fail(environment: Environment, say: object) -> Path:
        raise InstallError("the disk is full")

    monkeypatch.setattr(environments, "ensure", fail)
    monkeypatch.setattr(launch, "is_whole", lambda _: True)
    assert launch.main([], PROJECT) == 1
    assert capsys.readouterr().err == "\nTricorn cannot start: the disk is full\n"
    assert became == []


def test_windows(
    ensured: list[str], monkeypatch: pytest.MonkeyPatch, became: list[list[str]]
) -> None:
    """It starts there too, and sees first that the console can show what it says."""
    prepared: list[str] = []
    console = SimpleNamespace(prepare_console=lambda: prepared.append("console"))
    monkeypatch.setattr(launch, "windows", console, raising=False)
    monkeypatch.setattr(sys, "platform", "win32")
    assert launch.main(["--mode", "prod"], PROJECT) == 0
    assert prepared == ["console"]
    assert [command[1:5] for command in became] == [["-m", "tricorn.cli", "serve", "--mode"]]


def test_skip_check_needs_an_install(
    became: list[list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It skips the look at what is there, not the first install."""
    assert launch.main(["--skip-check"], tmp_path) == 1
    assert "run it once without --skip-check" in capsys.readouterr().err
    assert became == []


class TypesChecker:
    """mypy as `Popen` starts it.

    installed: what was by then. ended: it is not left behind.
    """

    def __init__(self, ensured: list[str], code: int) -> None:
        self._ensured = ensured
        self._code = code
        self.ended = False

    def __call__(self, command: list[str], *, stdout: TextIO, **_options: object) -> TypesChecker:
        assert command[1:] == ["-m", "mypy"]
        self.installed = list(self._ensured)
        stdout.write("what mypy says")
        return self

    def kill(self) -> None:
        self.ended = True

    def wait(self) -> int:
        return self._code


@pytest.mark.parametrize(
    ("codes", "again", "code"),
    [
        ({}, [], 0),
        ({"ruff": 1}, [], 1),
        ({"mypy": 1}, [], 1),
        ({"not alone": 1}, ["not alone, failed"], 0),
        ({"not alone": 1, "not alone, failed": 1}, ["not alone, failed"], 1),
        ({"not alone": 2}, [], 1),
        ({"alone": 1}, [], 1),
    ],
)
def test_mode_test_runs_everything(
    ensured: list[str],
    monkeypatch: pytest.MonkeyPatch,
    became: list[list[str]],
    capsys: pytest.CaptureFixture[str],
    codes: dict[str, int],
    again: list[str],
    code: int,
) -> None:
    """All environments that can be, the model, ruff, mypy and pytest, first what can run side by
    side. One failure fails the run, but for those that a second time, without others, pass."""
    ran: list[str] = []
    types = TypesChecker(ensured, codes.get("mypy", 0))

    def run(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        name = command[4] if command[2] == "pytest" else command[2]
        ran.append(f"{name}, failed" if "--last-failed" in command else name)
        assert ("-n" in command) == (ran[-1] == "not alone")
        return subprocess.CompletedProcess(command, codes.get(ran[-1], 0))

    fetched: list[Path] = []
    monkeypatch.setattr(checks.subprocess, "run", run)
    monkeypatch.setattr(checks.subprocess, "Popen", types)
    monkeypatch.setattr(installer, "machine", lambda **_: Machine("darwin", "arm64"))
    monkeypatch.setattr(default_model, "ensure", lambda folder, **_: fetched.append(folder))
    assert launch.main(["--mode", "test"], PROJECT) == code
    assert ensured == ["gateway", "test", "llamacpp", "mlx"]
    said = capsys.readouterr().out
    assert "The engine vllm is not installed: vLLM has no packages for macOS" in said
    assert os.environ[NO_COMPILE] == "0"
    assert DONT_KEEP_COMPILED not in os.environ
    assert fetched == [PROJECT / "models"]
    assert ran == ["ruff", "not alone", *again, "alone"]
    assert types.installed == ["gateway", "test"], "it works while engines are installed"
    assert types.ended
    assert said.index("== ruff") < said.index("what mypy says") < said.index("== pytest")
    assert became == []


def test_interrupted_install_ends_mypy(
    ensured: list[str], monkeypatch: pytest.MonkeyPatch, became: list[list[str]]
) -> None:
    """Nothing works on in the background."""
    types = TypesChecker(ensured, 0)

    def interrupted(folder: Path, **_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(checks.subprocess, "Popen", types)
    monkeypatch.setattr(installer, "machine", lambda **_: Machine("darwin", "arm64"))
    monkeypatch.setattr(default_model, "ensure", interrupted)
    assert launch.main(["--mode", "test"], PROJECT) == 130
    assert types.ended


def test_arguments_for_pytest_run_pytest_alone(
    ensured: list[str], monkeypatch: pytest.MonkeyPatch, became: list[list[str]]
) -> None:
    """`-- -k chat` is for the quick turn, and its exit code is pytest's own."""
    ran: list[list[str]] = []

    def run(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        ran.append(command[1:])
        return subprocess.CompletedProcess(command, 5)

    monkeypatch.setattr(checks.subprocess, "run", run)
    monkeypatch.setattr(default_model, "ensure", lambda folder, **_: folder)
    monkeypatch.setattr(installer, "machine", lambda **_: Machine("darwin", "arm64"))
    assert launch.main(["--mode", "test", "--", "-k", "chat"], PROJECT) == 5
    assert ran == [["-m", "pytest", "-k", "chat"]]


# --- commands -------------------------------------------------------------------------------------


@pytest.fixture
def whole(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Whether .venv is whole; its one value can be changed."""
    state = [True]
    monkeypatch.setattr(launch, "is_whole", lambda _: state[0])
    return state


@pytest.mark.parametrize("command", [["doctor", "--json"], ["engines", "ls"]])
def test_commands_are_tricorns_own(
    command: list[str], became: list[list[str]], ensured: list[str], whole: list[bool]
) -> None:
    """Where it is installed, with the same flags, and nothing is installed for them."""
    assert launch.main(command, PROJECT) == 0
    python = str(installer.gateway_environment(PROJECT).python)
    assert became == [[python, "-m", "tricorn.cli", *command]]
    assert ensured == []


@pytest.mark.parametrize("form", ["--config {}", "--config={}"])
def test_commands_find_the_callers_config(
    form: str,
    became: list[list[str]],
    whole: list[bool],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As the server does: from where run.py was started."""
    monkeypatch.chdir(tmp_path)
    launch.main(["doctor", *form.format("my.yaml").split()], PROJECT)
    assert became[0][4:] == form.format(tmp_path / "my.yaml").split()


def test_before_the_install_the_doctor_looks_by_itself(
    became: list[list[str]],
    ensured: list[str],
    whole: list[bool],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With the standard library, and its exit code."""
    whole[0] = False
    monkeypatch.setattr(doctor, "before_install", lambda arguments, project: 1)
    assert launch.main(["doctor"], PROJECT) == 1
    assert (became, ensured) == ([], [])


def test_commands_of_a_closed_install(
    became: list[list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The doctor looks by itself; everything else says in a sentence why it goes no further."""
    close(installer.gateway_environment(PROJECT), monkeypatch)
    monkeypatch.setattr(doctor, "before_install", lambda arguments, project: 1)
    assert launch.main(["doctor"], PROJECT) == 1
    assert capsys.readouterr().err == ""
    for flags in (["engines", "ls"], ["keys", "ls"], ["--mode", "prod"], ["--skip-check"]):
        assert launch.main(flags, PROJECT) == 1
        assert "this user may not run: whoever made it" in capsys.readouterr().err
    assert became == []


@pytest.mark.parametrize("command", [["pull", "org/name"], ["config", "check"], ["models", "ls"]])
def test_other_commands_install_tricorn_first(
    command: list[str], became: list[list[str]], ensured: list[str]
) -> None:
    """What needs Tricorn's packages; the flags go on as they are."""
    assert launch.main(command, PROJECT) == 0
    python = str(installer.gateway_environment(PROJECT).python)
    assert became == [[python, "-m", "tricorn.cli", *command]]
    assert ensured == ["gateway"]


def test_installing_an_engine_installs_tricorn_first(
    became: list[list[str]], ensured: list[str], whole: list[bool]
) -> None:
    """The settings say where engines are, and reading them needs Tricorn's packages."""
    launch.main(["engines", "install", "mlx"], PROJECT)
    assert ensured == ["gateway"]
    assert became[0][3:] == ["engines", "install", "mlx"]


def test_a_commands_failure_is_one_sentence(
    whole: list[bool], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With exit code 1."""

    def fail(*_: object) -> int:
        raise InstallError("vllm is in use")

    whole[0] = False
    monkeypatch.chdir(PROJECT)
    monkeypatch.setattr(engine_commands, "run", fail)
    assert launch.main(["engines", "remove", "vllm"], PROJECT) == 1
    assert capsys.readouterr().err == "run.py: vllm is in use\n"
