"""Pins, ranges and environments belong together."""

from __future__ import annotations

import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

import tricorn

PROJECT = Path(__file__).resolve().parents[1]
PINS = PROJECT / "requirements"
ENGINE_PACKAGES = {"llama-cpp-python", "mlx", "mlx-lm", "numpy", "torch", "transformers", "vllm"}


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned(file: str) -> dict[str, str]:
    """Package → version. Every line that is no comment must be an exact pin."""
    found: dict[str, str] = {}
    for line in (PINS / file).read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        match = re.fullmatch(r"([A-Za-z0-9._-]+)==([\w.+]+)( ; .+)?", line)
        assert match, line
        assert normal(match[1]) not in found
        found[normal(match[1])] = match[2]
    return found


def project() -> dict[str, object]:
    table = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert isinstance(table, dict)
    return table


def test_no_engine_package_is_in_the_gateways_environment() -> None:
    """Neither an engine nor what only engines need."""
    assert pinned("gateway.txt").keys() & ENGINE_PACKAGES == set()


def test_every_dependency_is_pinned() -> None:
    """What `pip install tricorn` needs is what run.py installs."""
    dependencies = project()["dependencies"]
    assert isinstance(dependencies, list)
    named = {normal(re.split(r"[<>=;\[ ]", text)[0]) for text in dependencies}
    assert named <= pinned("gateway.txt").keys()


def test_the_extra_is_the_engine_that_run_py_installs() -> None:
    """tricorn[llamacpp] has the version that is tested."""
    extras = project()["optional-dependencies"]
    assert isinstance(extras, dict)
    version = pinned("engine-llamacpp.txt")["llama-cpp-python"]
    assert f"llama-cpp-python=={version}" in extras["llamacpp"]


def test_shared_packages_have_one_version() -> None:
    """The gateway and its engine workers speak msgpack by the same msgspec."""
    gateway, engine = pinned("gateway.txt"), pinned("engine-llamacpp.txt")
    shared = gateway.keys() & engine.keys()
    assert {"msgspec", "structlog", "jinja2"} <= shared
    assert {name: gateway[name] for name in shared} == {name: engine[name] for name in shared}


def test_test_packages_come_on_top() -> None:
    """An addition never replaces a package of the environment below."""
    lists = [pinned(name).keys() for name in ("gateway.txt", "tracing.txt", "test.txt")]
    assert sum(map(len, lists)) == len(set().union(*lists))


@pytest.mark.parametrize("file", sorted(file.name for file in PINS.glob("clients-*.txt")))
def test_clients_are_pinned(file: str) -> None:
    """Every package at one version, those among them that are asked for by name."""
    comments = [line for line in (PINS / file).read_text().splitlines() if line.startswith("#")]
    wanted = {normal(name) for name in comments[-1].removeprefix("# ").split()}
    assert wanted <= pinned(file).keys()


def test_what_is_installed_is_pinned() -> None:
    """Nothing in .venv came in unpinned."""
    if Path(sys.prefix) != PROJECT / ".venv":
        pytest.skip("runs in another environment than .venv, which is its owner's to fill")
    allowed = pinned("gateway.txt") | pinned("tracing.txt") | pinned("test.txt")
    found = {normal(item.metadata["Name"]): item.version for item in metadata.distributions()}
    for name in ("tricorn", "pip", "uv"):
        found.pop(name, None)
    assert {name: version for name, version in found.items() if allowed.get(name) != version} == {}


def test_the_version_has_a_place_in_the_changelog() -> None:
    """A release without a word for users is none."""
    changelog = (PROJECT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## {tricorn.__version__}" in changelog


def test_folders_of_users_stay_out_of_git() -> None:
    """Models, logs, environments and settings are not ours to keep."""
    ignored = (PROJECT / ".gitignore").read_text(encoding="utf-8").split()
    for name in ("/models/*", "/logs/*", "/.venv/", "/.engines/", "/.clients/", "/.env", "/data/"):
        assert name in ignored
