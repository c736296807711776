"""Child processes: how they are started apart from the terminal, signalled as a group, and ended.

Every child gets a session of its own: Ctrl-C in a terminal then reaches the manager only, which
ends its children in order, and a signal to a child's group reaches what the child has started too.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from typing import Any

KILL_WAIT_S = 5.0
"""A killed process is gone at once, unless it hangs in the kernel."""
GROUP_WAIT_S = 1.0
"""Those whose parent has died are seen until somebody takes their exit codes, which in a container
without an init process nobody does."""
GROUP_LOOK_S = 0.005


def session_arguments() -> dict[str, Any]:
    """Arguments of `create_subprocess_exec` that set a child apart from our process group."""
    if os.name == "posix":
        return {"start_new_session": True}
    return {"creationflags": getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)}


def signal_group(process: asyncio.subprocess.Process, number: int) -> None:
    """Send a signal to a child and all that it has started; nothing where they are gone."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if os.name == "posix":
            os.killpg(process.pid, number)
        elif number == signal.SIGTERM:
            process.terminate()
        else:
            process.kill()


def ask_to_end(process: asyncio.subprocess.Process) -> None:
    """Ask a child, and not what it has started, to end in good order; nothing where it is gone."""
    with contextlib.suppress(ProcessLookupError):
        if sys.platform != "win32":
            process.terminate()
            return
        try:
            # SIGTERM would end it at once there. For processes of a group of their own.
            process.send_signal(signal.CTRL_BREAK_EVENT)
        except OSError:  # there is no console that could pass it on
            process.terminate()


def kill_group(process: asyncio.subprocess.Process) -> None:
    """End a child and all that it has started, now."""
    signal_group(process, getattr(signal, "SIGKILL", signal.SIGTERM))


async def ended_within(process: asyncio.subprocess.Process, timeout_s: float) -> bool:
    """Wait for a child's end; False where it still runs after `timeout_s`."""
    if process.returncode is not None:
        return True
    if timeout_s <= 0:
        return False
    try:
        await asyncio.wait_for(process.wait(), timeout_s)
    except TimeoutError:
        return False
    return True


async def end_group(process: asyncio.subprocess.Process) -> None:
    """End what a child has left behind, and wait until it has given its memory back; bounded."""
    kill_group(process)
    deadline = time.monotonic() + GROUP_WAIT_S
    while _has_group(process) and time.monotonic() < deadline:
        await asyncio.sleep(GROUP_LOOK_S)


def _has_group(process: asyncio.subprocess.Process) -> bool:
    if os.name != "posix":
        return False
    try:
        os.killpg(process.pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def describe_exit(code: int | None) -> str:
    """How a process ended, for people."""
    if code is None:
        return "did not end"
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    hint = " (the system does that when memory runs out)" if name == "SIGKILL" else ""
    return f"was ended by {name}{hint}"
