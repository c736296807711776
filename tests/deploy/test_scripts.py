"""scripts/*.sh with real processes and a fake model, in a folder of their own."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tricorn.place import PROJECT

BIN = Path(sys.executable).parent
TIMEOUT_S = 45

pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.skipif(os.name != "posix", reason="shell scripts"),
    pytest.mark.skipif(not (BIN / "tricorn").exists(), reason="Tricorn is not installed here"),
]

RUN_PY = """
import os, sys
assert sys.argv[1:] == ["--mode", "prod"]
os.execv(".venv/bin/tricorn", ["tricorn", "serve", "--skip-check", *sys.argv[1:]])
"""
"""The real one would make an environment first."""


class Place:
    """A project's folder, as the scripts see it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(PROJECT / "scripts", folder / "scripts")
        shutil.copy(PROJECT / "gunicorn.conf.py", folder)
        (folder / "run.py").write_text(RUN_PY)
        (folder / ".venv" / "bin").mkdir(parents=True)
        for program in ("tricorn", "gunicorn"):
            (folder / ".venv" / "bin" / program).symlink_to(BIN / program)
        python = folder / ".venv" / "bin" / "python"
        python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
        python.chmod(0o755)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        settings = {"port": port, "workers": 1, "run_dir": "r", "hf_cache": False}
        models = {"models": {"m": {"engine": "fake"}}, "drain_timeout_s": 1}
        (folder / "tricorn.yaml").write_text(json.dumps(settings | models))

    def run(self, script: str, *arguments: str) -> tuple[int, str]:
        """The exit code and what it said."""
        # A file, not a pipe: what start.sh leaves running would keep that open.
        with (self.folder / "said.txt").open("w+") as said:
            done = subprocess.run(
                [self.folder / "scripts" / f"{script}.sh", *arguments],
                env=os.environ | {"PYTHON": sys.executable},
                stdout=said,
                stderr=said,
                stdin=subprocess.DEVNULL,
                check=False,
                timeout=TIMEOUT_S,
            )
            said.seek(0)
            return done.returncode, said.read()

    def well(self, script: str, *arguments: str) -> str:
        code, said = self.run(script, *arguments)
        assert code == 0, said
        return said

    def pids(self) -> list[str]:
        return sorted(file.stem for file in (self.folder / "run").glob("*.pid"))


@pytest.fixture
def place() -> Iterator[Place]:
    # Not pytest's folder: a unix socket's path must be short.
    with tempfile.TemporaryDirectory(prefix="tricorn-") as name:
        found = Place(Path(name))
        try:
            yield found
        finally:
            found.run("stop")


def test_all(place: Place) -> None:
    """Started once, told of, used, and stopped."""
    code, said = place.run("status")
    assert code == 1
    assert "no server runs" in said
    assert "Tricorn answers" in place.well("start")
    code, said = place.run("start", "all")
    assert (code, "tricorn runs already" in said) == (1, True)
    assert "tricorn runs (process" in place.well("status")
    assert "m is unloaded" in place.well("stop", "model", "m")
    assert "m" in place.well("start", "model", "m")
    assert "m" in place.well("status", "model", "m")
    assert "finishes its requests" in place.well("restart", "gateway")
    assert "tricorn has stopped" in place.well("stop")
    assert place.pids() == []
    assert "tricorn does not run" in place.well("stop", "all")


def test_parts(place: Place) -> None:
    """The gateway goes and comes back while the manager and its processes stay."""
    assert "the manager runs" in place.well("start", "manager")
    manager = (place.folder / "run" / "manager.pid").read_text()
    for _ in range(2):
        assert "the gateway answers" in place.well("start", "gateway")
        assert "the gateway answers" in place.well("status", "gateway")
        assert place.pids() == ["gateway", "manager"]
        assert "gateway has stopped" in place.well("stop", "gateway")
        assert place.run("status", "gateway")[0] == 1
    assert (place.folder / "run" / "manager.pid").read_text() == manager
    assert "manager has stopped" in place.well("stop")
    assert place.pids() == []


def test_where_commands_have_no_key(place: Place) -> None:
    """The server answers; what it is asked for besides needs a key that only others have."""
    settings = json.loads((place.folder / "tricorn.yaml").read_text())
    settings["jwt_secret"] = "s" * 32
    (place.folder / "tricorn.yaml").write_text(json.dumps(settings))
    assert "Tricorn answers" in place.well("start")
    assert "the gateway answers" in place.well("status", "gateway")
    code, said = place.run("status")
    assert (code, "needs a key" in said) == (1, True)


def test_failed_start(place: Place) -> None:
    """What the server said last is shown, and the exit code is 1."""
    (place.folder / "tricorn.yaml").write_text('{"prot": 1}')
    code, said = place.run("start")
    assert code == 1
    assert "prot: no such setting" in said
    assert "tricorn has not started" in said
