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
from collections.abc import Mapping, Sequence
from typing import Any

if sys.platform == "win32":
    from weakref import WeakKeyDictionary

    from tricorn import windows

    _jobs: WeakKeyDictionary[asyncio.subprocess.Process, windows.Job] = WeakKeyDictionary()

KILL_WAIT_S = 5.0
"""A killed process is gone at once, unless it hangs in the kernel."""
GROUP_WAIT_S = 1.0
"""Those whose parent has died are seen until somebody takes their exit codes, which in a container
without an init process nobody does."""
GROUP_LOOK_S = 0.005


async def start(
    command: Sequence[str], environment: Mapping[str, str], **streams: Any
) -> asyncio.subprocess.Process:
    """A child in a group of its own. OSError where it cannot be started.

    streams: further arguments of `create_subprocess_exec`.
    """
    if sys.platform == "win32":
        program, environment = windows.without_redirector(command[0], environment)
        process = await asyncio.create_subprocess_exec(
            program,
            *command[1:],
            env=environment,
            creationflags=subprocess.CREATE_NEW_PROCESS_GROUP,
            **streams,
        )
        with contextlib.suppress(OSError):  # it has ended already
            _jobs[process] = windows.Job(process.pid)
        return process
    return await asyncio.create_subprocess_exec(
        *command, env=environment, start_new_session=True, **streams
    )


def has_started(process: asyncio.subprocess.Process, pid: int) -> bool:
    """Whether `pid` is this child, or one that it has started."""
    if sys.platform == "win32":
        return pid == process.pid
    try:
        return os.getpgid(pid) == process.pid
    except ProcessLookupError:
        return False


def signal_group(process: asyncio.subprocess.Process, number: int) -> None:
    """Send a signal to a child and all that it has started; nothing where they are gone."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if sys.platform == "win32":  # signals are nothing but ends there
            if process in _jobs:
                _jobs[process].end()
            else:
                process.kill()
        else:
            os.killpg(process.pid, number)


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
    if sys.platform == "win32":
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
