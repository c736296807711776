"""Why an installation fails, in a sentence that names the fix."""

from __future__ import annotations

import errno
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tests.installing.quick_pip import QuickPip

from tricorn.installing import (
    environments,
    file_lock,
    install_faults,
    package_tools,
    prerequisites,
)
from tricorn.installing.environment_state import Environment
from tricorn.installing.install_faults import InstallError


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


def test_a_disk_that_fills_up_is_told_where_the_installer_is_silent(
    wanted: Environment, spoken: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """venv says only that its pip could not be installed."""
    usage = shutil.disk_usage(wanted.path.parent)

    class Silent(QuickPip):
        def create(self, path: Path) -> list[str]:
            monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1000))
            return [sys.executable, "-c", "raise SystemExit('Error: exit status 1')"]

    monkeypatch.setattr(package_tools, "choose", Silent)
    with pytest.raises(InstallError, match="making the environment failed: the disk is full"):
        environments.ensure(wanted, spoken.append)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "f"), "'f': run Tricorn as the user"),
        (OSError(errno.ENOSPC, "No space left on device"), "disk is full"),
        (OSError(errno.EROFS, "Read-only file system", "f"), "Read-only file system: 'f'$"),
    ],
)
def test_what_the_system_refuses_is_told_with_the_fix(
    wanted: Environment,
    spoken: list[str],
    monkeypatch: pytest.MonkeyPatch,
    error: OSError,
    words: str,
) -> None:
    """Where there is one that is always right."""

    def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr(file_lock, "hold", refuse)
    with pytest.raises(InstallError, match=f"probe cannot be installed: .*{words}"):
        environments.ensure(wanted, spoken.append)
