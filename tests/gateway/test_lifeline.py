"""When a gateway counts its manager as gone."""

from __future__ import annotations

import os
import subprocess
import sys

from tricorn.gateway.http import instance
from tricorn.gateway.http.lifeline import Watch


def test_gone_after_the_patience() -> None:
    """Unreachable and dead for longer than the patience; anything else starts the wait anew."""
    watch = Watch(1.0)
    assert not watch.gone(0.0, connected=False, alive=False)
    assert not watch.gone(0.9, connected=False, alive=False)
    assert not watch.gone(1.5, connected=True, alive=False)
    assert not watch.gone(2.0, connected=False, alive=False)
    assert not watch.gone(2.5, connected=False, alive=True)
    assert not watch.gone(3.0, connected=False, alive=False)
    assert watch.gone(4.1, connected=False, alive=False)


def test_a_zombie_is_not_alive() -> None:
    """A process that ended counts as dead before anyone has waited for it."""
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    assert instance.is_alive(child.pid)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    if sys.platform == "linux":
        assert not instance.is_alive(child.pid)
    child.wait()
    assert not instance.is_alive(child.pid)
