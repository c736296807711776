"""What is asked of pip for an environment's lists of packages."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.installing.quick_pip import Asked

from tricorn.installing import environments, long_commands, package_tools, prerequisites
from tricorn.installing.environment_state import MARKER, Environment
from tricorn.installing.install_faults import InstallError


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
