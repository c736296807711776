"""Tests of `test_openai_compatibility.py`, run as a user runs it."""

from __future__ import annotations

import subprocess
import sys

import pytest
from tests.e2e.server import MODEL, PROJECT, Server


@pytest.mark.timeout(180)
def test_everything_passes(server: Server) -> None:
    """Nothing fails against Tricorn, so that the script exits with 0."""
    script = str(PROJECT / "test_openai_compatibility.py")
    ran = subprocess.run(
        [sys.executable, script, "--base-url", f"{server.url}/v1", "--model", MODEL],
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "FAIL" not in ran.stdout.replace("0 FAIL", "")
