"""What lies where an environment should be, and by what it is known to be whole."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.installing.closed import close

from tricorn.installing import environment_state, environments
from tricorn.installing.environment_state import MARKER, Environment
from tricorn.installing.install_faults import InstallError


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


def test_a_python_of_somebody_else(
    wanted: Environment, spoken: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a folder that this user may not enter: said with the fix, and left as it is."""
    environments.ensure(wanted, spoken.append)
    close(wanted, monkeypatch)
    assert environment_state.state(wanted) == "closed"
    reason = f"{wanted.path} was made with .*, which this user may not run: whoever made it"
    for look in (environment_state.is_whole, lambda one: environments.ensure(one, spoken.append)):
        with pytest.raises(InstallError, match=reason):
            look(wanted)
    monkeypatch.undo()
    assert environment_state.is_whole(wanted)
