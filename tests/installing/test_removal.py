"""Environments are removed, and nothing else is."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from tests.installing.quick_pip import runs

from tricorn.installing import environment_state, environments
from tricorn.installing.environment_state import Environment
from tricorn.installing.install_faults import InstallError


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
