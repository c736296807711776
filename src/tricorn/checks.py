"""What has to be right before a change lands: ruff, mypy and the tests. `--mode test` runs it.

Standard library only, like everything that `run.py` uses.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

ALONE = "alone"
"""The marker of tests that keep all processors busy, or measure something."""
MOST_TESTS_AT_ONCE = 8
TESTS_FAILED = 1
"""pytest's exit code."""


class Checks:
    """Those of a project, by the Python that has its tools. Entering the block begins what needs
    no engine, beside whatever the caller does before `run`; leaving it ends that."""

    def __init__(self, python: Path, project: Path) -> None:
        self._python = str(python)
        self._project = project

    def __enter__(self) -> Checks:
        self._types_say = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")
        self._types = subprocess.Popen(
            [self._python, "-m", "mypy"],
            cwd=self._project,
            stdout=self._types_say,
            stderr=subprocess.STDOUT,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._types.kill()
        self._types.wait()
        self._types_say.close()

    def run(self) -> int:
        """All of them, one after the other; 1 where one fails."""
        codes = {
            "ruff": self._ruff(),
            "mypy": self._mypy(),
            "pytest": self._side_by_side(),
            "pytest, alone": self._alone(),
        }
        failed = [name for name, code in codes.items() if code != 0]
        if failed:
            print(f"\nfailed: {', '.join(failed)}", file=sys.stderr)
        return 1 if failed else 0

    def _ruff(self) -> int:
        _head("ruff")
        return self._call("ruff", "check")

    def _mypy(self) -> int:
        _head("mypy")
        code = self._types.wait()
        self._types_say.seek(0)
        print(self._types_say.read(), end="", flush=True)
        return code

    def _side_by_side(self) -> int:
        _head("pytest, side by side")
        processes = min(MOST_TESTS_AT_ONCE, (os.cpu_count() or 1) + 1)
        beside = ("pytest", "-m", f"not {ALONE}")
        code = self._call(*beside, "-n", str(processes), "--dist", "worksteal")
        if code != TESTS_FAILED:
            return code
        # A clock of a test may have been too fast for so full a machine.
        _head("pytest, once more what has failed")
        return self._call(*beside, "--last-failed")

    def _alone(self) -> int:
        _head("pytest, what has to run alone")
        return self._call("pytest", "-m", ALONE)

    def _call(self, *module: str) -> int:
        return call(self._python, self._project, module)


def call(python: str | Path, project: Path, module: Sequence[str]) -> int:
    """The exit code of a Python module with its arguments, run in the project."""
    return subprocess.run([str(python), "-m", *module], cwd=project, check=False).returncode


def _head(title: str) -> None:
    print(f"\n== {title}", flush=True)
