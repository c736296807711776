"""Tests of `tricorn.manager.run_directory`."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from tests.manager.harness import SOURCE

from tricorn.errors import StartupError
from tricorn.manager.run_directory import RunDirectory, read_control

posix = pytest.mark.skipif(os.name != "posix", reason="rights of posix")


@posix
def test_private_from_the_start(tmp_path: Path) -> None:
    """The folder and the files in it are for its user only, even where it was open before."""
    path = tmp_path / "made" / "run"
    path.mkdir(parents=True, mode=0o755)
    with RunDirectory.open(path) as run_dir:
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
        run_dir.write_control("unix:x", "secret")
        run_dir.write("settings.json", "{}")
        for file in path.iterdir():
            assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_control_file_is_read_back(tmp_path: Path) -> None:
    """Gateways find address, secret and pid."""
    with RunDirectory.open(tmp_path / "run") as run_dir:
        run_dir.write_control("tcp:127.0.0.1:1", "s")
        found = read_control(tmp_path / "run")
        assert found == {"address": "tcp:127.0.0.1:1", "secret": "s", "pid": os.getpid()}


def test_second_manager_is_refused(tmp_path: Path) -> None:
    """A second one for the same folder is told the pid of the first, and harms nothing."""
    with RunDirectory.open(tmp_path / "run") as run_dir:
        run_dir.write_control("unix:x", "secret")
        with pytest.raises(StartupError, match=f"pid {os.getpid()}"):
            RunDirectory.open(tmp_path / "run")
        assert read_control(tmp_path / "run")["secret"] == "secret"


def test_leftovers_of_a_killed_manager_are_removed(tmp_path: Path) -> None:
    """The lock of a killed process is free, and what it left is cleared away."""
    path = tmp_path / "run"
    code = (
        "import os, signal, sys; from pathlib import Path\n"
        "from tricorn.manager.run_directory import RunDirectory\n"
        "run = RunDirectory.open(Path(sys.argv[1]))\n"
        "run.write_control('unix:old', 'old')\n"
        "(run.path / 'control.sock').touch()\n"
        "os.kill(os.getpid(), signal.SIGTERM)"
    )
    subprocess.run(
        [sys.executable, "-c", code, str(path)], env=os.environ | {"PYTHONPATH": str(SOURCE)}
    )
    assert (path / "control.sock").exists()
    with RunDirectory.open(path):
        assert [file.name for file in path.iterdir()] == ["manager.lock"]


@posix
def test_nothing_is_left_behind(tmp_path: Path) -> None:
    """After `close` the folder is gone, and can be taken again."""
    for _ in range(2):
        run_dir = RunDirectory.open(tmp_path / "run")
        (run_dir.path / "replica-1.sock").touch()
        run_dir.close()
        run_dir.close()
        assert not (tmp_path / "run").exists()


@posix
def test_a_file_of_somebody_is_left(tmp_path: Path) -> None:
    """What Tricorn did not put there stays."""
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "notes.txt").touch()
    RunDirectory.open(tmp_path / "run").close()
    assert [file.name for file in (tmp_path / "run").iterdir()] == ["notes.txt"]


@posix
def test_foreign_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of another user is refused, as is one that is not a folder at all."""
    (tmp_path / "file").touch()
    with pytest.raises(StartupError, match="not a folder"):
        RunDirectory.open(tmp_path / "file")
    (tmp_path / "run").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "run")
    with pytest.raises(StartupError, match="not a folder"):
        RunDirectory.open(tmp_path / "link")
    monkeypatch.setattr(os, "getuid", lambda: tmp_path.stat().st_uid + 1)
    with pytest.raises(StartupError, match="another user"):
        RunDirectory.open(tmp_path / "run")


def test_long_paths_do_not_fit(tmp_path: Path) -> None:
    """A path that is too long for unix sockets is known as such."""
    with RunDirectory.open(tmp_path / ("x" * 110)) as run_dir:
        assert not run_dir.fits_sockets()
