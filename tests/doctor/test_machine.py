"""Python, compiler, memory, disk and limits."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace

import pytest
from tests.installing.closed import close

from tricorn.doctor import machine
from tricorn.doctor.check import Check
from tricorn.hardware.facts import Facts
from tricorn.installing import installer, prerequisites
from tricorn.place import Place

GB = 10**9
UNKNOWN = Facts()


def python(place: Place, facts: Facts = UNKNOWN) -> Check:
    (check,) = machine.python(place, facts)
    return check


def test_a_fitting_python_is_well(place: Place) -> None:
    """With its version and place."""
    assert python(place).state == "ok"
    assert sys.executable in python(place).what


def test_a_too_new_python_is_a_warning(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Packages of engines come later than Pythons."""
    monkeypatch.setattr(sys, "version_info", (3, 19, 0, "final", 0))
    assert (python(place).state, python(place).fix) == ("warn", "python3.13 run.py")


def test_a_python_without_venv_fails(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Debian splits it off."""
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)
    monkeypatch.setattr(machine.importlib.util, "find_spec", lambda _: None)
    monkeypatch.setattr(sys, "version_info", (3, 12, 4, "final", 0))
    assert (python(place).state, python(place).fix) == ("fail", "sudo apt install python3.12-venv")


def test_an_emulated_python_is_a_warning(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """An Intel one on Apple silicon cannot use its GPU."""
    monkeypatch.setattr(machine.platform, "machine", lambda: "x86_64")
    assert "by emulation" in python(place, Facts(apple_chip="Apple M3")).what
    assert python(place).state == "ok"


@pytest.mark.parametrize(
    ("compiler", "installed", "state"),
    [(True, False, "ok"), (False, True, "ok"), (False, False, "fail")],
)
def test_a_compiler_is_needed_until_the_engine_is_there(
    place: Place,
    monkeypatch: pytest.MonkeyPatch,
    compiler: bool,
    installed: bool,
    state: str,
) -> None:
    """Afterwards nothing is compiled."""
    monkeypatch.setattr(prerequisites, "has_compiler", lambda: compiler)
    found = sys.executable if installed else None
    monkeypatch.setattr(installer, "engine_python", lambda name, folder: found)
    (check,) = machine.compiler(place, Facts())
    assert check.state == state
    assert bool(check.fix) == (state == "fail")


@pytest.mark.parametrize(
    ("facts", "state"),
    [
        (Facts(memory_total=16 * GB, memory_available=9 * GB), "ok"),
        (Facts(memory_total=16 * GB, memory_available=GB), "warn"),
        (Facts(memory_available=GB // 10), "fail"),
        (Facts(memory_available=9 * GB, memory_limit=GB), "warn"),
        (Facts(), "warn"),
    ],
)
def test_free_memory(place: Place, facts: Facts, state: str) -> None:
    """Within a container's limit; unknown is not well, but no failure either."""
    (check,) = machine.memory(place, facts)
    assert check.state == state
    assert bool(check.fix) == (state != "ok")


@pytest.mark.parametrize(("free", "state"), [(100 * GB, "ok"), (3 * GB, "warn"), (GB // 5, "fail")])
def test_free_disk(place: Place, monkeypatch: pytest.MonkeyPatch, free: int, state: str) -> None:
    """One row a disk."""
    usage = shutil.disk_usage(place.models_dir)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=free))
    (check,) = machine.disk(place, Facts())
    assert check.state == state


def test_an_install_needs_more_disk(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is little for models is too little for a compile."""
    usage = shutil.disk_usage(place.models_dir)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=9 * GB // 10))
    monkeypatch.setattr(installer, "engine_python", lambda name, folder: None)
    assert next(machine.disk(place, Facts())).state == "fail"
    monkeypatch.setattr(installer, "engine_python", lambda name, folder: sys.executable)
    assert next(machine.disk(place, Facts())).state == "warn"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limits")
@pytest.mark.parametrize(
    ("files", "state", "fix"),
    [
        ((1024, 4096), "ok", ""),
        ((256, 4096), "warn", "ulimit -n 4096"),
        ((256, 256), "warn", "limits.conf"),
    ],
)
def test_open_files(
    place: Place,
    monkeypatch: pytest.MonkeyPatch,
    files: tuple[int, int],
    state: str,
    fix: str,
) -> None:
    """Where the user may raise the limit, the command; else where it is set."""
    import resource

    limits = {resource.RLIMIT_NOFILE: files, resource.RLIMIT_AS: (resource.RLIM_INFINITY,) * 2}
    monkeypatch.setattr(resource, "getrlimit", limits.__getitem__)
    (check,) = machine.limits(place, Facts())
    assert check.state == state
    assert fix in check.fix


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limits")
def test_address_space(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit on it breaks the mapping of models."""
    import resource

    limits = {resource.RLIMIT_NOFILE: (4096, 4096), resource.RLIMIT_AS: (8 * GB, 8 * GB)}
    monkeypatch.setattr(resource, "getrlimit", limits.__getitem__)
    _, check = machine.limits(place, Facts())
    assert check.fix.startswith("ulimit -v unlimited")


def test_what_is_not_installed_is_said(place: Place) -> None:
    """Nothing is installed by looking."""
    lists = place.project / "requirements"
    lists.mkdir()
    (lists / "gateway.txt").write_text("")
    (place.project / "pyproject.toml").write_text("")
    (check,) = machine.installation(place, Facts())
    assert check.state == "warn"
    assert check.what.startswith("not installed yet")
    assert check.fix == "python3 run.py --mode dev"
    assert not (place.project / ".venv").exists()


def test_an_install_of_somebody_else(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whose Python this user may not run."""
    lists = place.project / "requirements"
    lists.mkdir()
    (lists / "gateway.txt").write_text("")
    close(installer.gateway_environment(place.project), monkeypatch)
    (check,) = machine.installation(place, Facts())
    assert check.state == "fail"
    assert "a Python that all users may run" in check.fix


def test_an_installed_package_is_well(place: Place) -> None:
    """Without the source folder there is nothing to compare it with."""
    (check,) = machine.installation(replace(place, project=place.project / "x"), Facts())
    assert check.state == "ok"
