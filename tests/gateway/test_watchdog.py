"""tricorn.gateway.http.watchdog: in a process of its own, whose event loop gevent has patched."""

from __future__ import annotations

import subprocess
import sys

from tricorn.gateway.http.watchdog import HUNG

PROGRAM = """
from gevent import monkey

monkey.patch_all()
import gevent, sys
from tricorn.gateway.http.watchdog import Watchdog, end

def count_for_ever():
    while True:
        pass

watchdog = Watchdog(end, patience_s=0.5, look_s=0.05)
watchdog.start()
for _ in range(30):
    gevent.sleep(0.05)
    watchdog.beat()
print("still here", flush=True)
if sys.argv[1] == "hangs":
    count_for_ever()
"""


def run(what: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", PROGRAM, what]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def test_a_process_that_hangs() -> None:
    """It is left alone while its event loop turns, and ended when that does not; it tells where."""
    ended = run("hangs")
    assert ended.returncode == HUNG
    assert ended.stdout == "still here\n"
    assert "the gateway hangs" in ended.stderr
    assert "count_for_ever" in ended.stderr


def test_a_process_that_is_well() -> None:
    """It ends as ever."""
    ended = run("is well")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "still here\n", "")
