"""The manager imports no web framework, no gevent and no engine."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.manager.harness import SOURCE

FOREIGN = ("flask", "gevent", "gunicorn", "llama_cpp", "numpy", "torch", "vllm", "mlx")
FOREIGN += ("huggingface_hub", "httpx2", "tqdm")  # of a download's own process


def test_no_foreign_package_is_imported() -> None:
    """Importing all of the manager loads none of the packages that belong to other processes."""
    code = (
        "import sys, tricorn.cli, tricorn.manager.service, tricorn.manager.client\n"
        "import tricorn.manager.desk.downloads, tricorn.hub.environment\n"
        f"print([name for name in {FOREIGN!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "[]"
