"""Tests of `tricorn.cli`."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.manager.model_folders import put_folder

from tricorn import __version__, cli
from tricorn.doctor import runner
from tricorn.errors import StartupError
from tricorn.hardware import facts
from tricorn.hardware.facts import Facts
from tricorn.installing import default_model, installer
from tricorn.installing.engine_installs import Machine
from tricorn.installing.install_faults import InstallError
from tricorn.manager import main as manager
from tricorn.manager.lifecycle import listening
from tricorn.place import Place
from tricorn.settings.config import ModelSettings, Settings


@pytest.fixture(autouse=True)
def _inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test runs in a folder of its own, without a `.env` or `tricorn.yaml`."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def _free_port(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever else runs on this machine."""
    monkeypatch.setattr(listening, "check_port", lambda host, port: None)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What the service is run with, instead of running it."""
    runs: list[dict[str, Any]] = []

    def run(settings: Settings, **given: Any) -> int:
        runs.append({"settings": settings} | given)
        return 0

    monkeypatch.setattr(manager, "run", run)
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


def test_model_folder_by_path(tmp_path: Path) -> None:
    """A model folder is a path too, outside the model folder, inside of it, or being it."""
    put_folder(tmp_path / "x")
    settings = cli.with_model(Settings(), "x")
    assert settings.default_model == "x"
    assert settings.models["x"].path == (tmp_path / "x").resolve()
    put_folder(tmp_path / "models/org/m")
    assert cli.with_model(Settings(), "models/org/m").default_model == "org/m"
    itself = cli.with_model(Settings(model_base_path=tmp_path / "x"), "x")
    assert (itself.default_model, itself.models) == ("x", {})


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


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """Installs nothing: notes the engines and models that were to be made sure of."""
    asked: list[str] = []

    def ensure_engine(name: str, settings: Settings, *, say: Callable[[str], None]) -> Path:
        asked.append(name)
        return tmp_path / name

    monkeypatch.setattr(installer, "ensure_engine", ensure_engine)
    monkeypatch.setattr(default_model, "ensure", lambda folder, **_: asked.append(str(folder)))
    linux = Facts(os="linux", arch="x86_64", memory_total=2**34, simd=("avx2",))
    monkeypatch.setattr(facts, "detect", lambda *_, **__: linux)
    monkeypatch.setattr(runner, "tell_at_start", lambda place, say: asked.append("checks"))
    return asked


def test_install_gives_model_and_engine(
    machine: list[str], started: list[dict[str, Any]], tmp_path: Path
) -> None:
    """Without --skip-check the model is made sure of where there is none, and its engine."""
    assert cli.main(["serve"]) == 0
    assert machine == ["models", "llamacpp"]
    assert started[0]["engine_python"]("llamacpp") == tmp_path / "llamacpp"


def test_the_engine_is_the_models(
    machine: list[str], started: list[dict[str, Any]], tmp_path: Path
) -> None:
    """A folder of safetensors is not for llama.cpp."""
    folder = tmp_path / "models/tiny"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"architectures": ["LlamaForCausalLM"]}')
    (folder / "tokenizer.json").write_text("{}")
    (folder / "model.safetensors").write_bytes((2).to_bytes(8, "little") + b"{}")
    settings = Settings()
    spec = cli.first_engine(settings)
    assert spec in ("vllm", "mlx")


def test_without_a_model_the_engine_asked_for_is_installed(machine: list[str]) -> None:
    """INFERENCE_ENGINE, or llama.cpp."""
    assert cli.first_engine(Settings()) == "llamacpp"
    assert cli.first_engine(Settings(inference_engine="mlx")) == "mlx"


@pytest.mark.parametrize(
    ("flags", "checked"), [(["--mode", "dev"], True), ([], False), (["--skip-check"], False)]
)
def test_checks_at_start_are_devs(
    flags: list[str], checked: bool, machine: list[str], started: list[dict[str, Any]]
) -> None:
    """Quick ones in dev mode; --skip-check leaves them out."""
    cli.main(["serve", *flags])
    assert ("checks" in machine) is checked
    machine.clear()
    cli.main(["serve", "--mode", "dev", "--skip-check"])
    assert machine == []


def test_a_taken_port_is_told_before_an_install(
    machine: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not after minutes of compiling."""

    def taken(host: str, port: int) -> None:
        raise StartupError(f"cannot listen on {host}:{port}")

    monkeypatch.setattr(listening, "check_port", taken)
    assert cli.main(["serve", "--port", "9"]) == 1
    assert capsys.readouterr().err == "tricorn: cannot listen on 127.0.0.1:9\n"
    assert machine == []


def test_failed_install_is_a_clear_sentence(
    machine: list[str],
    monkeypatch: pytest.MonkeyPatch,
    started: list[dict[str, Any]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What the installer cannot do ends the start with its sentence."""

    def fail(*_: object, **__: object) -> Path:
        raise InstallError("no space left")

    monkeypatch.setattr(default_model, "ensure", fail)
    assert cli.main(["serve"]) == 1
    assert capsys.readouterr().err == "tricorn: no space left\n"
    assert started == []


def test_skip_check_uses_what_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine's own environment; where it is missing, the error has the command."""
    settings = Settings(engines_dir=tmp_path / "engines")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(StartupError, match=r"not installed; .*engines install llamacpp"):
        cli.installed_python("llamacpp", settings)
    with pytest.raises(StartupError, match="not installed"):
        cli.installed_python("nonsense", settings)
    own = installer.engine_environment("llamacpp", settings.engines_dir).python
    site = own.parents[1] / "lib/python3.12/site-packages/llama_cpp_python-1.0.dist-info"
    site.mkdir(parents=True)
    own.parent.mkdir()
    own.touch()
    assert cli.installed_python("llamacpp", settings) == own


def test_doctor_gives_its_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what its flags say."""
    seen: list[Any] = []

    def run(place: Place, **given: Any) -> int:
        seen.append((place.port, place.settings is not None, given["json"], given["quick"]))
        return 1

    monkeypatch.setattr(runner, "run", run)
    assert cli.main(["doctor", "--json", "--quick", "--port", "81"]) == 1
    assert seen == [(81, True, True, True)]


def test_doctor_finds_wrong_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """They are a row of its table, not the end of it."""
    (tmp_path / "tricorn.yaml").write_text("prot: 80\n")
    seen: list[Any] = []

    def run(place: Place, **given: Any) -> int:
        seen.extend(given["before"])
        return 1

    monkeypatch.setattr(runner, "run", run)
    assert cli.main(["doctor"]) == 1
    assert seen[0].state == "fail"
    assert "did you mean port" in seen[0].what


def test_engines_are_listed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`tricorn engines ls` has a row an engine."""
    monkeypatch.setattr(installer, "machine", lambda **_: Machine("darwin", "arm64"))
    assert cli.main(["engines", "ls"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["ENGINE", *installer.ENGINES]


def test_an_engine_that_cannot_be_installed_is_one_sentence(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With exit code 1; an unknown one is wrong usage."""
    monkeypatch.setattr(installer, "machine", lambda **_: Machine("darwin", "arm64"))
    assert cli.main(["engines", "install", "vllm"]) == 1
    assert capsys.readouterr().err.startswith("tricorn: vllm cannot be installed here: vLLM has")
    assert cli.main(["engines", "install", "nonsense"]) == 2
