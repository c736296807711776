"""Environments are made, mended and left alone. Offline: requirement files here are empty."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from tricorn.installing import (
    environment_state,
    environments,
    file_lock,
    install_faults,
    long_commands,
    package_tools,
    prerequisites,
)
from tricorn.installing.environment_state import MARKER, Environment, is_whole
from tricorn.installing.install_faults import InstallError


@pytest.fixture
def spoken() -> list[str]:
    """What the user was told."""
    return []


@pytest.fixture
def wanted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Environment:
    """An environment without packages, made by pip's way and without pip in it: half a second."""
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("# nothing\n", encoding="utf-8")
    monkeypatch.setattr(package_tools, "choose", QuickPip)
    return Environment(tmp_path / "env", [requirements], name="probe", log_dir=tmp_path / "logs")


class QuickPip(package_tools.Pip):
    """Makes environments without pip, and notes installs in a file instead of doing them."""

    def create(self, path: Path) -> list[str]:
        return [*super().create(path), "--without-pip"]

    def install(self, python: Path, arguments: object, *, verbose: bool) -> list[str]:
        note = f"open({str(python.parent / 'installs')!r}, 'a').write('once\\n')"
        return [str(python), "-c", note]


def installs(wanted: Environment) -> int:
    return (wanted.python.parent / "installs").read_text().count("once")


def runs(python: Path) -> bool:
    return subprocess.run([python, "-c", "pass"], check=False).returncode == 0


def test_a_missing_environment_is_made(wanted: Environment, spoken: list[str]) -> None:
    """The first call makes it, tells each step, and gives a Python that runs."""
    python = environments.ensure(wanted, spoken.append)
    assert runs(python)
    assert is_whole(wanted)
    assert "Installing probe" in spoken[0]
    assert any("making the environment: done in 0:" in line for line in spoken)
    assert "venv" in wanted.log.read_text(encoding="utf-8")


def test_a_whole_environment_is_left_alone(wanted: Environment, spoken: list[str]) -> None:
    """A second call runs nothing and says nothing."""
    environments.ensure(wanted, spoken.append)
    spoken.clear()
    environments.ensure(wanted, spoken.append)
    assert spoken == []
    assert installs(wanted) == 1


def test_changed_requirements_make_it_anew(wanted: Environment, spoken: list[str]) -> None:
    """Packages that are no longer wanted do not linger."""
    environments.ensure(wanted, spoken.append)
    (wanted.path / "left-over").write_text("x")
    Path(wanted.requirements[0]).write_text("# other\n")
    environments.ensure(wanted, spoken.append)
    assert not (wanted.path / "left-over").exists()
    assert is_whole(wanted)


def test_an_interrupted_install_is_repaired(
    wanted: Environment, spoken: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C in the middle leaves it unusable, and the next call starts afresh."""

    class Interrupted(QuickPip):
        def install(self, python: Path, arguments: object, *, verbose: bool) -> list[str]:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(package_tools, "choose", Interrupted)
        with pytest.raises(KeyboardInterrupt):
            environments.ensure(wanted, spoken.append)
    assert not is_whole(wanted)
    (wanted.path / "half-done").write_text("x")
    assert runs(environments.ensure(wanted, spoken.append))
    assert not (wanted.path / "half-done").exists()


@pytest.mark.skipif(os.name != "posix", reason="environments on Windows hold no links")
def test_a_broken_interpreter_link_is_repaired(wanted: Environment, spoken: list[str]) -> None:
    """The Python that it was made from was removed or updated."""
    python = environments.ensure(wanted, spoken.append)
    for name in ("python", "python3"):
        link = python.with_name(name)
        link.unlink()
        link.symlink_to("/nowhere/python")
    assert not is_whole(wanted)
    assert runs(environments.ensure(wanted, spoken.append))


def test_a_deleted_stamp_is_repaired_in_place(wanted: Environment, spoken: list[str]) -> None:
    """Without stamp and marker it might be somebody's own: filled up, not deleted."""
    environments.ensure(wanted, spoken.append)
    wanted.stamp.unlink()
    (wanted.path / "own").write_text("x")
    environments.ensure(wanted, spoken.append)
    assert (wanted.path / "own").exists()
    assert installs(wanted) == 2
    assert is_whole(wanted)


def test_a_moved_environment_is_made_anew(wanted: Environment, spoken: list[str]) -> None:
    """Its scripts name the old folder, so it can't be used where it is now."""
    environments.ensure(wanted, spoken.append)
    moved = replace(wanted, path=wanted.path.with_name("elsewhere"))
    shutil.move(wanted.path, moved.path)
    assert not is_whole(moved)
    environments.ensure(moved, spoken.append)
    config = (moved.path / "pyvenv.cfg").read_text(encoding="utf-8")
    assert str(moved.path) in config


def test_a_link_to_another_installation_is_refused(
    wanted: Environment, spoken: list[str], tmp_path: Path
) -> None:
    """Made anew through the link, the other installation would lose its own."""
    projects = [tmp_path / "one", tmp_path / "two"]
    for project in projects:
        project.mkdir()
        (project / "pyproject.toml").write_text("[project]\nname = 'p'\n", encoding="utf-8")
    first = replace(wanted, editable_project=projects[0])
    environments.ensure(first, spoken.append)
    link = tmp_path / "link"
    link.symlink_to(first.path)
    second = replace(wanted, path=link, editable_project=projects[1])
    with pytest.raises(InstallError, match=f"another installation, {projects[0]}"):
        environments.ensure(second, spoken.append)
    assert is_whole(first)


def test_a_damaged_stamp_counts_as_none(wanted: Environment, spoken: list[str]) -> None:
    """A stamp that is no JSON is not believed."""
    environments.ensure(wanted, spoken.append)
    wanted.stamp.write_text("{", encoding="utf-8")
    assert not is_whole(wanted)
    environments.ensure(wanted, spoken.append)
    assert json.loads(wanted.stamp.read_text(encoding="utf-8"))["path"] == str(wanted.path)


def test_a_folder_that_is_no_environment_is_never_deleted(
    wanted: Environment, spoken: list[str]
) -> None:
    """ENGINES_DIR may name somebody's documents."""
    wanted.path.mkdir()
    (wanted.path / "thesis.txt").write_text("years of work")
    with pytest.raises(InstallError, match="no virtual environment: move it away"):
        environments.ensure(wanted, spoken.append)
    assert (wanted.path / "thesis.txt").read_text() == "years of work"
    assert not (wanted.path / MARKER).exists()


def test_an_addition_has_a_stamp_of_its_own(wanted: Environment, spoken: list[str]) -> None:
    """Test packages come on top, and go when the environment below is made anew."""
    extra = replace(wanted, name="extra", addition=True)
    environments.ensure(wanted, spoken.append)
    environments.ensure(extra, spoken.append)
    assert is_whole(wanted)
    assert is_whole(extra)
    wanted.stamp.write_text("{}", encoding="utf-8")
    environments.ensure(wanted, spoken.append)
    assert not is_whole(extra)


def test_two_at_once_install_once(wanted: Environment) -> None:
    """The second waits for the first and finds it done."""
    told: list[str] = []
    both = [
        threading.Thread(target=environments.ensure, args=(wanted, told.append)) for _ in range(2)
    ]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join(timeout=50)
    assert installs(wanted) == 1
    assert sum("Installing probe" in line for line in told) == 1


def test_waiting_for_a_lock_is_told(tmp_path: Path) -> None:
    """Who waits knows what for."""
    told: list[str] = []
    waiting = threading.Event()

    def say(line: str) -> None:
        told.append(line)
        waiting.set()

    def second() -> None:
        with file_lock.hold(tmp_path / "lock", "doing it", say):
            told.append("mine")

    with file_lock.hold(tmp_path / "lock", "doing it", say):
        thread = threading.Thread(target=second)
        thread.start()
        assert waiting.wait(timeout=20)
        assert told == ["Another process is doing it: waiting for it"]
    thread.join(timeout=20)
    assert told[-1] == "mine"


def test_no_disk_space_is_said_before(
    wanted: Environment, spoken: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is begun that cannot be finished."""
    usage = shutil.disk_usage(wanted.path.parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(InstallError, match=r"needs 0\.3 GB of disk space .* make room"):
        environments.ensure(wanted, spoken.append)
    assert not wanted.path.exists()


def test_without_a_compiler_only_ready_wheels_are_tried(
    wanted: Environment, spoken: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No ten minutes of waiting for a build that must fail: the sentence names the compiler."""
    asked: list[list[str]] = []

    class NoWheel(QuickPip):
        def install(self, python: Path, arguments: object, *, verbose: bool) -> list[str]:
            assert isinstance(arguments, list)
            asked.append(arguments)
            words = "ERROR: No matching distribution found for llama-cpp-python==0.3.36"
            return [str(python), "-c", f"raise SystemExit({words!r})"]

    monkeypatch.setattr(package_tools, "choose", NoWheel)
    monkeypatch.setattr(prerequisites, "has_compiler", lambda: False)
    with pytest.raises(InstallError, match=r"no C compiler was found.*apt install build-essential"):
        environments.ensure(replace(wanted, compiles=["llama-cpp-python"]), spoken.append)
    assert asked[0][-2:] == ["--only-binary", "llama-cpp-python"]


def test_a_missing_requirements_file_is_said(wanted: Environment, spoken: list[str]) -> None:
    """A half-copied source folder gets a sentence, not a traceback."""
    with pytest.raises(InstallError, match=r"gone\.txt cannot be read"):
        environments.ensure(replace(wanted, requirements=[Path("gone.txt")]), spoken.append)


def test_linter_settings_are_no_reason_to_install_again(
    wanted: Environment, tmp_path: Path
) -> None:
    """Only what an editable install uses of pyproject.toml is in the fingerprint."""
    project = replace(wanted, editable_project=tmp_path)
    file = tmp_path / "pyproject.toml"
    file.write_text('[project]\nname = "a"\n[tool.ruff]\nline-length = 100\n')
    first = environment_state.fingerprint(project)
    file.write_text('[project]\nname = "a"\n[tool.ruff]\nline-length = 80\n')
    assert environment_state.fingerprint(project) == first
    file.write_text('[project]\nname = "b"\n')
    assert environment_state.fingerprint(project) != first


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("error: [Errno 28] No space left on device", "disk is full"),
        ("Caused by: No space left on device (os error 28)", "disk is full"),
        (
            "Failed to establish a new connection: [Errno -3] Temporary failure in name resolution"
            "\nERROR: No matching distribution found for flask==3.1.3",
            "check the network",
        ),
        ("error: Failed to fetch\n  Caused by: dns error", "check the network"),
        ("ensurepip is not available. On Debian, apt install python3.11-venv", "python3-venv"),
        ("CMake Error: CMAKE_C_COMPILER not set, after EnableLanguage", "build-essential"),
        ("c++: fatal error: Killed signal terminated program cc1plus", "PARALLEL_LEVEL=1"),
        ("SSL: CERTIFICATE_VERIFY_FAILED", "PIP_CERT"),
        ("error: externally-managed-environment", "managed by the system"),
        ("ERROR: No matching distribution found for flask==99", "package index"),
        ("Failed building wheel for llama-cpp-python", "did not compile"),
        ("something new", "not known"),
    ],
)
def test_failures_are_explained(output: str, words: str) -> None:
    """Each kind of failure has one sentence that names the fix."""
    explained = install_faults.explain(output)
    assert words in explained
    assert "\n" not in explained


def test_a_failed_step_names_reason_and_log(
    wanted: Environment, spoken: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole output is in the log; the message has one sentence and its place."""

    class Offline(QuickPip):
        def install(self, python: Path, arguments: object, *, verbose: bool) -> list[str]:
            return [str(python), "-c", "raise SystemExit('Network is unreachable')"]

    monkeypatch.setattr(package_tools, "choose", Offline)
    with pytest.raises(InstallError, match="check the network") as caught:
        environments.ensure(wanted, spoken.append)
    assert str(wanted.log) in str(caught.value)
    assert "Network is unreachable" in wanted.log.read_text(encoding="utf-8")


# --- what lies there ------------------------------------------------------------------------------


def test_the_state_tells_what_lies_there(wanted: Environment, spoken: list[str]) -> None:
    """From nothing over whole to outdated, made by hand and interrupted."""
    assert environment_state.state(wanted) == "absent"
    environments.ensure(wanted, spoken.append)
    assert environment_state.state(wanted) == "whole"
    Path(wanted.requirements[0]).write_text("# other\n")
    assert environment_state.state(wanted) == "outdated"
    wanted.stamp.unlink()
    assert environment_state.state(wanted) == "own"
    (wanted.path / MARKER).touch()
    assert environment_state.state(wanted) == "half"


def test_a_folder_without_a_python_is_half(wanted: Environment) -> None:
    """A link to a Python that was uninstalled, say."""
    wanted.path.mkdir()
    assert environment_state.state(wanted) == "absent"
    (wanted.path / "pyvenv.cfg").touch()
    assert environment_state.state(wanted) == "half"


# --- lists that are whole -------------------------------------------------------------------------


class Asked(QuickPip):
    """Notes what it is to install; `answers` are the exit words of one install after the other."""

    def __init__(self, *answers: str) -> None:
        self.commands: list[list[str]] = []
        self.answers = list(answers)

    def install(self, python: Path, arguments: object, *, verbose: bool) -> list[str]:
        assert isinstance(arguments, list)
        self.commands.append(arguments)
        return [str(python), "-c", f"raise SystemExit({self.answers.pop(0)!r} or 0)"]


def test_a_whole_list_brings_nothing_else(
    wanted: Environment, spoken: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its packages' own wishes are not asked; another list is installed with what it needs."""
    tool = Asked("", "")
    monkeypatch.setattr(package_tools, "choose", lambda: tool)
    environments.ensure(replace(wanted, is_whole_list=True), spoken.append)
    assert tool.commands.pop()[-1] == "--no-deps"
    environments.ensure(wanted, spoken.append)
    assert "--no-deps" not in tool.commands.pop()


MISSING = "ERROR: No matching distribution found for torch==2.13.0+cpu"


def test_a_further_index_is_searched_only_where_a_package_is_missing(
    wanted: Environment, spoken: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An index that the user did not configure may be out of reach: it comes last."""
    ran: list[list[str]] = []

    def run(command: list[str], what: str, **_: object) -> str:
        ran.append(command)
        if "install" in command and "--extra-index-url" not in command:
            raise long_commands.CommandFailed(1, MISSING)
        return ""

    monkeypatch.setattr(package_tools, "choose", package_tools.Pip)
    monkeypatch.setattr(long_commands, "run", run)
    environments.ensure(replace(wanted, fallback_index="https://more"), spoken.append)
    assert ran[-1] == [*ran[-2], "--extra-index-url", "https://more"]
    assert any("searching https://more too" in line for line in spoken)


@pytest.mark.parametrize(
    ("index", "words"), [("", MISSING), ("https://more", "Network is unreachable")]
)
def test_other_failures_search_no_further_index(
    wanted: Environment, spoken: list[str], monkeypatch: pytest.MonkeyPatch, index: str, words: str
) -> None:
    """Without one, or where something else went wrong, the failure is told at once."""
    tool = Asked(words)
    monkeypatch.setattr(package_tools, "choose", lambda: tool)
    with pytest.raises(InstallError):
        environments.ensure(replace(wanted, fallback_index=index), spoken.append)
    assert len(tool.commands) == 1


def test_own_build_arguments_pass_over_the_cache(
    wanted: Environment, spoken: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """CMAKE_ARGS for CUDA must not give the build for the CPU again."""
    tool = Asked("", "")
    monkeypatch.setattr(package_tools, "choose", lambda: tool)
    monkeypatch.setattr(prerequisites, "has_compiler", lambda: True)
    monkeypatch.delenv("CMAKE_ARGS", raising=False)
    environments.ensure(replace(wanted, compiles=["x"]), spoken.append)
    assert "--no-cache-dir" not in tool.commands[0]
    wanted.stamp.unlink()
    monkeypatch.setenv("CMAKE_ARGS", "-DGGML_CUDA=on")
    environments.ensure(replace(wanted, compiles=["x"]), spoken.append)
    assert "--no-cache-dir" in tool.commands[1]


def test_two_flavours_are_never_mixed(wanted: Environment, spoken: list[str]) -> None:
    """An environment made by hand keeps its packages, so one that excludes ours is refused."""
    environments.ensure(wanted, spoken.append)
    wanted.stamp.unlink()
    site = next(wanted.path.glob("lib/python3*/site-packages"), wanted.path / "Lib/site-packages")
    (site / "other_flavour-1.0.dist-info").mkdir(parents=True)
    with pytest.raises(InstallError, match=r"has other-flavour, beside which probe cannot"):
        environments.ensure(replace(wanted, excludes=["other-flavour"]), spoken.append)
    assert not (wanted.path / MARKER).exists()


# --- removal --------------------------------------------------------------------------------------


def test_an_environment_is_removed(wanted: Environment, spoken: list[str]) -> None:
    """With everything in it; it can be made again."""
    environments.ensure(wanted, spoken.append)
    environments.remove(wanted, spoken.append)
    assert not wanted.path.exists()
    assert runs(environments.ensure(wanted, spoken.append))


def test_a_half_removed_environment_is_not_whole(
    wanted: Environment, spoken: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted before the first file is gone."""
    environments.ensure(wanted, spoken.append)

    def interrupted(path: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(environments, "_clear", interrupted)
        with pytest.raises(KeyboardInterrupt):
            environments.remove(wanted, spoken.append)
    assert environment_state.state(wanted) == "half"
    environments.remove(wanted, spoken.append)
    assert not wanted.path.exists()


def test_only_environments_are_removed(wanted: Environment, spoken: list[str]) -> None:
    """ENGINES_DIR may name somebody's documents."""
    wanted.path.mkdir()
    (wanted.path / "thesis.txt").write_text("years of work")
    with pytest.raises(InstallError, match="no virtual environment"):
        environments.remove(wanted, spoken.append)
    assert (wanted.path / "thesis.txt").exists()


@pytest.mark.skipif(os.name != "posix", reason="links need rights on Windows")
def test_a_link_to_another_disk_is_removed(
    wanted: Environment, spoken: list[str], tmp_path: Path
) -> None:
    """What it leads to is emptied, and the link goes."""
    disk = tmp_path / "big-disk"
    environments.ensure(replace(wanted, path=disk), spoken.append)
    wanted.path.symlink_to(disk)
    environments.remove(wanted, spoken.append)
    assert not wanted.path.is_symlink()
    assert list(disk.iterdir()) == []
