"""An engine worker must not outlive the manager that started it, nor its own children itself."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading

PR_SET_PDEATHSIG = 1


def killed_with_parent() -> None:
    """Have the kernel end this process when its parent dies; nothing where it is not Linux.

    Also for the processes that an engine starts (see `__main__`): they would outlive a worker that
    is killed. Elsewhere than on Linux the manager ends them with the worker's process group.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def end_with_parent(lifeline: int) -> None:
    """End this process at once when the parent dies.

    lifeline: descriptor of a pipe that the parent holds open; its end means that the parent is
        gone. On Linux the kernel is asked as well, which also works while native code keeps every
        thread busy.
    """
    killed_with_parent()

    def watch() -> None:
        while os.read(lifeline, 4096):
            continue
        os._exit(0)

    threading.Thread(target=watch, name="lifeline", daemon=True).start()
