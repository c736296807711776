"""Engines by name."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tricorn.engines import registry
from tricorn.engines.base import InferenceEngine
from tricorn.errors import ModelLoadFailed


def test_an_engine_is_made_by_its_name() -> None:
    """Each call makes a new, unloaded one."""
    first, second = registry.create("fake"), registry.create("fake")
    assert isinstance(first, InferenceEngine)
    assert first is not second


def test_an_unknown_engine_names_those_there_are() -> None:
    """The message helps to mend the setting."""
    with pytest.raises(ModelLoadFailed, match=r"'warp'.*llamacpp"):
        registry.create("warp")


def test_an_engine_without_its_packages_is_a_failed_load(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing package is told of by name, not by a traceback."""
    monkeypatch.setitem(registry.ENGINES, "ghost", "tricorn_no_such_package.engine:create")
    with pytest.raises(ModelLoadFailed, match=r"ghost is not installed.*tricorn_no_such_package"):
        registry.create("ghost")


def test_importing_the_registry_imports_no_engine() -> None:
    """The manager reads the names without any engine's packages."""
    code = (
        "import sys, tricorn.engines.registry\n"
        "print(sorted(m for m in sys.modules if 'llama' in m or m.endswith('engines.fake')))"
    )
    paths = [path for path in sys.path if path]
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {paths!r}\n{code}"],
        capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == "[]"
