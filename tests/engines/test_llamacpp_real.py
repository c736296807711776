"""Runs what needs llama.cpp itself, in the engine's own environment.

That environment has llama_cpp and llguidance and no pytest; ours, of the same Python, has pytest.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
SUITE = Path(__file__).parent / "llamacpp_real"
PYTHON = (
    PROJECT / ".engines/llama_cpp" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
)
# At the end of the path: what the engine's environment has itself goes first.
RUN = "import sys; sys.path.append(sys.argv[1]); import pytest; sys.exit(pytest.main(sys.argv[2:]))"


@pytest.mark.skipif(
    not PYTHON.exists(), reason="the llama.cpp engine is not installed; python run.py installs it"
)
@pytest.mark.timeout(240)
@pytest.mark.parametrize("file", sorted(SUITE.glob("check_*.py")), ids=lambda file: file.stem)
def test_in_the_engines_environment(file: Path) -> None:
    """Every check of that file passes."""
    packages = sysconfig.get_path("purelib")
    done = subprocess.run(
        [PYTHON, "-c", RUN, packages, str(file), "-q", "-p", "no:cacheprovider"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    sys.stdout.write(done.stdout)
