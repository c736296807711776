"""Environments are made, mended and left alone."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from tests.installing.quick_pip import QuickPip, installs, runs

from tricorn.installing import environments, package_tools
from tricorn.installing.environment_state import MARKER, Environment, is_whole
from tricorn.installing.install_faults import InstallError


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
