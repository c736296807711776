"""The gateway's process must never hold an engine."""

from __future__ import annotations

import subprocess
import sys

from tests.gateway.control_server import root

FORBIDDEN = ["vllm", "mlx", "torch", "llama_cpp", "numpy", "tricorn.engines.llamacpp"]
FORBIDDEN += ["huggingface_hub", "httpx2"]  # of a download's own process
SCRIPT = f"""
import sys
import tricorn.gateway.app, tricorn.gateway.routes, tricorn.manager.client
print([name for name in {FORBIDDEN!r} if name in sys.modules])
"""


def test_no_engine_is_imported() -> None:
    """Importing the application loads no engine package and no engine adapter."""
    found = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(root() / "src")},
    )
    assert found.stdout.strip() == "[]"
