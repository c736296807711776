"""Reading the settings again."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import CapturingLogger

from tricorn.errors import StartupError
from tricorn.manager.lifecycle.reloading import Reloading
from tricorn.settings.config import Settings
from tricorn.settings.loading import load


class Applied:
    """What was taken over."""

    def __init__(self) -> None:
        self.calls: list[tuple[Settings, list[str]]] = []
        self.refuses: str | None = None

    def __call__(self, settings: Settings, changed: list[str]) -> None:
        if self.refuses is not None:
            raise StartupError(self.refuses)
        self.calls.append((settings, changed))


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    path = tmp_path / "tricorn.yaml"
    path.write_text("max_waiting: 1\n")
    return path


@pytest.fixture
def applied() -> Applied:
    return Applied()


@pytest.fixture
def reloading(file: Path, applied: Applied) -> Reloading:
    loaded = load(directory=file.parent)
    return Reloading(loaded.settings, lambda: load(directory=file.parent), applied, loaded.files)


def test_changes_are_taken_over(file: Path, reloading: Reloading, applied: Applied) -> None:
    """Told with those that need a restart, as long as they do."""
    file.write_text("max_waiting: 2\nport: 9\n")
    told = {"changed": ["max_waiting"], "needs_restart": ["port"], "errors": []}
    assert reloading.reload() == told
    ((settings, changed),) = applied.calls
    assert (settings.max_waiting, settings.port, changed) == (2, 8000, ["max_waiting"])
    assert reloading.reload() == {"changed": [], "needs_restart": ["port"], "errors": []}
    assert len(applied.calls) == 1


def test_a_file_that_cannot_be_used_changes_nothing(
    file: Path, reloading: Reloading, applied: Applied, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error is told and logged; once it is mended, the change comes."""
    file.write_text("max_waiting: 2\nprot: 9\n")
    log = CapturingLogger()
    monkeypatch.setattr("tricorn.manager.lifecycle.reloading.log", log)
    told = reloading.reload()
    assert told["changed"] == []
    assert "prot: no such setting; did you mean port?" in told["errors"][0]
    assert [call.method_name for call in log.calls] == ["error"]
    assert applied.calls == []
    file.write_text("max_waiting: 2\n")
    assert reloading.reload()["changed"] == ["max_waiting"]


def test_a_change_that_is_refused(file: Path, reloading: Reloading, applied: Applied) -> None:
    """It is tried again by the next reload."""
    file.write_text("default_model: none\n")
    applied.refuses = "there is none"
    assert reloading.reload()["errors"] == ["there is none"]
    applied.refuses = None
    assert reloading.reload()["changed"] == ["default_model", "max_waiting"]


def test_changed_files_are_noticed(file: Path, reloading: Reloading, applied: Applied) -> None:
    """Also one that was not there, and only once each."""
    reloading.look()
    (file.parent / ".env").write_text("MAX_WAITING=5\n")
    reloading.look()
    reloading.look()
    file.unlink()
    reloading.look()
    assert [settings.max_waiting for settings, _ in applied.calls] == [5]


def test_a_file_that_changed_since_it_was_read(file: Path, applied: Applied) -> None:
    """A start may take minutes: what was written meanwhile is seen by the first look."""
    loaded = load(directory=file.parent)
    file.write_text("max_waiting: 20\n")
    late = Reloading(loaded.settings, lambda: load(directory=file.parent), applied, loaded.files)
    late.look()
    assert len(applied.calls) == 1


def test_settings_without_sources(applied: Applied) -> None:
    """There is nothing to read."""
    none = Reloading(Settings(), None, applied, {})
    none.look()
    assert none.reload() == {"changed": [], "needs_restart": [], "errors": []}
