"""Tests of `tricorn.cli`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tricorn import __version__, cli, installer
from tricorn.config import ModelSettings, Settings
from tricorn.environments import InstallError
from tricorn.errors import StartupError
from tricorn.manager import service


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test runs in a folder of its own, without a `.env` or `tricorn.yaml`."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the service is run with, instead of running it."""
    runs: list[dict[str, Any]] = []

    def run(settings: Settings, **given: Any) -> int:
        runs.append({"settings": settings} | given)
        return 0

    monkeypatch.setattr(service, "run", run)
    return runs


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """`tricorn --version` prints the version."""
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"tricorn {__version__}\n"


@pytest.mark.parametrize("argv", [[], ["nonsense"], ["serve", "--port", "x"], ["serve", "--nope"]])
def test_wrong_usage(argv: list[str]) -> None:
    """Wrong usage is exit code 2."""
    assert cli.main(argv) == 2


def test_flags_become_settings(started: list[dict[str, Any]]) -> None:
    """Flags that are given win over the defaults; those that are not leave them alone."""
    flags = ["--mode", "dev", "--host", "0.0.0.0", "--port", "1234", "--workers", "3", "--debug"]
    assert cli.main(["serve", "--skip-check", "--without-gateway", *flags]) == 0
    settings = started[0]["settings"]
    assert (settings.mode, settings.host, settings.port) == ("dev", "0.0.0.0", 1234)
    assert (settings.workers, settings.log_level) == (3, "DEBUG")
    assert settings.max_waiting == Settings().max_waiting
    assert started[0]["with_gateway"] is False


def test_bad_settings_are_one_clear_sentence(
    started: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    """An error of the start goes to stderr without a traceback, with exit code 1."""
    assert cli.main(["serve", "--skip-check", "--port", "0"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("tricorn: ")
    assert "port" in error
    assert "Traceback" not in error
    assert cli.main(["serve", "--config", "none.yaml"]) == 1
    assert started == []


def test_config_file_is_read(started: list[dict[str, Any]], tmp_path: Path) -> None:
    """`--config` names the settings file; flags win over it."""
    (tmp_path / "my.yaml").write_text("port: 1111\nmax_waiting: 7\n")
    cli.main(["serve", "--skip-check", "--config", "my.yaml", "--port", "2222"])
    assert (started[0]["settings"].port, started[0]["settings"].max_waiting) == (2222, 7)


def test_model_by_id() -> None:
    """A model id becomes the default model."""
    assert cli.with_model(Settings(), "org/m.Q4").default_model == "org/m.Q4"


@pytest.mark.parametrize("name", ["m.Q4.gguf", "m.Q4-00001-of-00002.gguf"])
def test_model_by_path(tmp_path: Path, name: str) -> None:
    """A file outside the model folder becomes a model under its stem, keeping its options."""
    (tmp_path / name).touch()
    given = Settings(models={"m.Q4": ModelSettings.model_validate({"threads": 3})})
    settings = cli.with_model(given, name)
    assert settings.default_model == "m.Q4"
    assert settings.models["m.Q4"].path == (tmp_path / name).resolve()
    assert settings.models["m.Q4"].threads == 3


def test_model_by_path_inside_the_folder(tmp_path: Path) -> None:
    """A file in the model folder keeps the id that the catalog gives it."""
    (tmp_path / "models/org").mkdir(parents=True)
    (tmp_path / "models/org/m.gguf").touch()
    settings = cli.with_model(Settings(), "models/org/m.gguf")
    assert settings.default_model == "org/m"
    assert settings.models == {}


def test_missing_model_file() -> None:
    """A path that leads nowhere is an error that names it."""
    with pytest.raises(StartupError, match=r"there is no file none\.gguf"):
        cli.with_model(Settings(), "none.gguf")


FAKE = {"m": ModelSettings.model_validate({"engine": "fake"})}
REAL = {"n": ModelSettings.model_validate({"path": "n.gguf"})}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (Settings(), False),
        (Settings(models=FAKE), True),
        (Settings(models=FAKE | REAL), False),
        (Settings(inference_engine="fake"), True),
    ],
)
def test_fake_needs_no_install(settings: Settings, expected: bool) -> None:
    """Nothing is installed where only the fake engine is set up."""
    assert cli.only_fake(settings) is expected


def test_install_gives_engine_and_model(
    monkeypatch: pytest.MonkeyPatch, started: list[dict[str, Any]], tmp_path: Path
) -> None:
    """Without --skip-check the engine is made sure of, and the model where there is none."""
    fetched: list[Path] = []

    def ensure_engine(name: str, settings: Settings, *, say: Callable[[str], None]) -> Path:
        return tmp_path / name

    monkeypatch.setattr(installer, "ensure_engine", ensure_engine)
    monkeypatch.setattr(
        installer, "ensure_default_model", lambda folder, **_: fetched.append(folder)
    )
    assert cli.main(["serve"]) == 0
    assert started[0]["engine_python"]("llamacpp") == tmp_path / "llamacpp"
    assert fetched == [Path("models")]


def test_failed_install_is_a_clear_sentence(
    monkeypatch: pytest.MonkeyPatch,
    started: list[dict[str, Any]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What the installer cannot do ends the start with its sentence."""

    def fail(*_: object, **__: object) -> Path:
        raise InstallError("no space left")

    monkeypatch.setattr(installer, "ensure_engine", lambda *_, **__: Path("python"))
    monkeypatch.setattr(installer, "ensure_default_model", fail)
    assert cli.main(["serve"]) == 1
    assert capsys.readouterr().err == "tricorn: no space left\n"
    assert started == []


def test_skip_check_uses_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine's own environment comes first, then the current one; else it is an error."""
    settings = Settings(engines_dir=tmp_path / "engines")
    monkeypatch.setattr(cli.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(StartupError, match="not installed"):
        cli.installed_python("llamacpp", settings)
    own = installer.engine_environment("llamacpp", settings.engines_dir).python
    own.parent.mkdir(parents=True)
    own.touch()
    assert cli.installed_python("llamacpp", settings) == own
