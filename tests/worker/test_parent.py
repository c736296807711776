"""Processes that an engine starts end with their worker."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import tricorn

WORKER = Path(tricorn.__file__).parent / "worker" / "__main__.py"

PARENT = f"""
import multiprocessing, sys, threading
sys.modules["__main__"].__file__ = {str(WORKER)!r}  # as if this were the worker
said = "print('up', flush=True); import threading; threading.Event().wait()"
multiprocessing.get_context("spawn").Process(target=exec, args=(said,)).start()
threading.Event().wait()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the manager ends the whole group")
def test_a_killed_worker_leaves_no_process_behind() -> None:
    """Its child holds the same standard output, which comes to its end with the last of them."""
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE) as worker:
        assert worker.stdout is not None
        try:
            assert worker.stdout.readline() == b"up\n"
        finally:
            worker.kill()
        assert worker.stdout.read() == b""
