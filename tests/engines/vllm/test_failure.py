"""Why a load failed, out of what vLLM's processes wrote."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tricorn.engines.vllm.failure import root_cause

LOG = """\
INFO 11-21 08:40:01 [config.py:1] Using max model len 8192
(EngineCore pid=77) \x1b[0;36mINFO\x1b[0m 11-21 08:40:09 [core.py:90] Initializing
(EngineCore pid=77) ERROR 11-21 08:40:11 [core.py:860] EngineCore failed to start.
(EngineCore pid=77) ERROR 11-21 08:40:11 [core.py:860] Traceback (most recent call last):
(EngineCore pid=77) ERROR 11-21 08:40:11 [core.py:860]   File "core.py", line 1, in run
(EngineCore pid=77) ERROR 11-21 08:40:11 [core.py:860] torch.OutOfMemoryError: CUDA out of memory.
(EngineCore pid=77) Process EngineCore:
(EngineCore pid=77) Traceback (most recent call last):
(EngineCore pid=77) torch.OutOfMemoryError: CUDA out of memory.
RuntimeError: Engine core initialization failed. See root cause above.
"""


def test_the_first_exception_is_the_reason() -> None:
    """Not those that follow from it, in other processes."""
    assert root_cause(LOG) == "OutOfMemoryError: CUDA out of memory."


def test_a_log_without_an_exception() -> None:
    """Then the exception in this process has to do."""
    assert root_cause("INFO all is well\nError handling is on\n") is None


def test_only_what_was_written_since(tmp_path: Path) -> None:
    """The log of an earlier load says nothing about this one; children's lines count."""
    code = (
        "import os, sys; os.write(2, b'ValueError: old\\n')\n"
        "from tricorn.engines.vllm.failure import StandardError, root_cause\n"
        "said = StandardError(); os.system('echo ValueError: new >&2')\n"
        "print(root_cause(said.text()))"
    )
    with (tmp_path / "log").open("ab") as log:
        done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=log)
    assert done.stdout.decode().strip() == "ValueError: new"


def test_standard_error_that_is_no_file() -> None:
    """Nothing can be read back from a pipe."""
    code = (
        "import os; from tricorn.engines.vllm.failure import StandardError\n"
        "said = StandardError(); os.write(2, b'ValueError: x\\n'); print(repr(said.text()))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True)
    assert done.stdout.decode().strip() == "''"
