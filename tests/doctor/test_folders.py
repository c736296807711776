"""Folders that cannot be written are named, with what mends it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tricorn.doctor import folders
from tricorn.hardware.facts import Facts
from tricorn.place import Place


def deny(monkeypatch: pytest.MonkeyPatch, *denied: Path) -> None:
    """Let no file be made there, whoever runs the tests."""
    real = folders.tempfile.TemporaryFile

    def make(prefix: str, dir: Path) -> object:
        if dir in denied:
            raise PermissionError(13, "Permission denied")
        return real(prefix=prefix, dir=dir)

    monkeypatch.setattr(folders.tempfile, "TemporaryFile", make)


def test_writable_folders_are_one_row(place: Place) -> None:
    """Missing ones are made by the start, so what they would be made in counts; nothing is left."""
    before = sorted(place.project.rglob("*"))
    (check,) = folders.folders(place, Facts())
    assert check.state == "ok"
    assert sorted(place.project.rglob("*")) == before


def test_a_folder_that_cannot_be_written_fails(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the command for that folder."""
    deny(monkeypatch, place.models_dir)
    (check,) = folders.folders(place, Facts())
    assert check.state == "fail"
    assert "Permission denied" in check.what
    assert f"chmod -R u+rwX {place.models_dir}" in check.fix


def test_a_full_models_folder_need_not_be_written(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing has to be fetched into it."""
    (place.models_dir / "m.gguf").touch()
    deny(monkeypatch, place.models_dir)
    (check,) = folders.folders(place, Facts())
    assert check.state == "warn"


def test_a_missing_folder_in_one_that_cannot_be_written(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """data, logs and engines are to be made in the project's folder."""
    deny(monkeypatch, place.project)
    assert [check.state for check in folders.folders(place, Facts())] == ["fail"] * 3


def test_temporary_files_need_a_place(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """TMPDIR gives another one."""
    deny(monkeypatch, Path(folders.tempfile.gettempdir()))
    *_, check = folders.folders(place, Facts())
    assert check.fix.startswith("export TMPDIR=")
