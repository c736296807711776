"""What Windows does in a way of its own. Imported there only; standard library only."""

from __future__ import annotations

import ctypes
import io
import msvcrt
import os
import sys
import time
from collections.abc import Mapping
from ctypes import wintypes
from pathlib import Path

assert sys.platform == "win32"

LOCKED_BYTE = 1 << 20
"""Far behind what such a file says, so that others can still read that."""
REPLACE_WAIT_S = 2.0
"""How long a file that somebody has open keeps another from taking its place."""
_LOOK_S = 0.01

_KILL_ON_JOB_CLOSE = 0x2000
_EXTENDED_LIMITS = 9
_SET_QUOTA_AND_TERMINATE = 0x0100 | 0x0001
_KILLED = 137

_APPEND = 0x0004 | 0x0080 | 0x00100000
"""FILE_APPEND_DATA and not FILE_WRITE_DATA; FILE_READ_ATTRIBUTES; SYNCHRONIZE."""
_SHARE_ALL = 1 | 2 | 4
_OPEN_ALWAYS = 4
_NORMAL = 0x80
_INVALID = ctypes.c_void_p(-1).value

_kernel = ctypes.WinDLL("kernel32", use_last_error=True)
_kernel.CreateJobObjectW.restype = wintypes.HANDLE
_kernel.CreateJobObjectW.argtypes = [wintypes.LPVOID, wintypes.LPCWSTR]
_kernel.SetInformationJobObject.argtypes = [
    wintypes.HANDLE,
    ctypes.c_int,
    wintypes.LPVOID,
    wintypes.DWORD,
]
_kernel.OpenProcess.restype = wintypes.HANDLE
_kernel.OpenProcess.argtypes = [wintypes.DWORD, wintypes.BOOL, wintypes.DWORD]
_kernel.AssignProcessToJobObject.argtypes = [wintypes.HANDLE, wintypes.HANDLE]
_kernel.TerminateJobObject.argtypes = [wintypes.HANDLE, wintypes.UINT]
_kernel.CloseHandle.argtypes = [wintypes.HANDLE]
_kernel.CreateFileW.restype = wintypes.HANDLE
_kernel.CreateFileW.argtypes = [
    wintypes.LPCWSTR,
    wintypes.DWORD,
    wintypes.DWORD,
    wintypes.LPVOID,
    wintypes.DWORD,
    wintypes.DWORD,
    wintypes.HANDLE,
]


class _Limits(ctypes.Structure):
    """JOBOBJECT_EXTENDED_LIMIT_INFORMATION."""

    _fields_ = [
        ("process_time", wintypes.LARGE_INTEGER),
        ("job_time", wintypes.LARGE_INTEGER),
        ("flags", wintypes.DWORD),
        ("least_working_set", ctypes.c_size_t),
        ("most_working_set", ctypes.c_size_t),
        ("active_processes", wintypes.DWORD),
        ("affinity", ctypes.c_size_t),
        ("priority", wintypes.DWORD),
        ("scheduling", wintypes.DWORD),
        ("io", ctypes.c_ulonglong * 6),
        ("process_memory", ctypes.c_size_t),
        ("job_memory", ctypes.c_size_t),
        ("peak_process_memory", ctypes.c_size_t),
        ("peak_job_memory", ctypes.c_size_t),
    ]


class Job:
    """A process and all that it will start. They end with `end`, with `close`, and when whoever
    has made this is gone."""

    def __init__(self, pid: int) -> None:
        """OSError where the process is gone or may not be touched."""
        self._job: int | None = _checked(_kernel.CreateJobObjectW(None, None))
        try:
            limits = _Limits(flags=_KILL_ON_JOB_CLOSE)
            size = ctypes.sizeof(limits)
            _checked(
                _kernel.SetInformationJobObject(
                    self._job, _EXTENDED_LIMITS, ctypes.byref(limits), size
                )
            )
            process = _checked(_kernel.OpenProcess(_SET_QUOTA_AND_TERMINATE, False, pid))
            try:
                _checked(_kernel.AssignProcessToJobObject(self._job, process))
            finally:
                _kernel.CloseHandle(process)
        except OSError:
            self.close()
            raise

    def end(self) -> None:
        """Now. The job can be closed after it, and nothing else."""
        if self._job is not None:
            _kernel.TerminateJobObject(self._job, _KILLED)

    def close(self) -> None:
        if self._job is not None:
            _kernel.CloseHandle(self._job)
            self._job = None

    def __del__(self) -> None:
        self.close()


def _checked(result: int | None) -> int:
    if not result:
        raise ctypes.WinError(ctypes.get_last_error())
    return result


def without_redirector(program: str, environment: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """How to start a virtual environment's Python itself: what lies in its Scripts starts that as
    a child, which then has another process id, and memory of its own."""
    try:
        settings = (Path(program).parents[1] / "pyvenv.cfg").read_text(encoding="utf-8")
    except (OSError, IndexError):
        return program, dict(environment)
    found = dict(line.split("=", 1) for line in settings.splitlines() if "=" in line)
    home = {name.strip().lower(): value.strip() for name, value in found.items()}.get("home", "")
    itself = Path(home) / Path(program).name
    if not home or not itself.is_file():
        return program, dict(environment)
    # As multiprocessing does it: by this name Python finds the environment.
    return str(itself), {**environment, "__PYVENV_LAUNCHER__": program}


def try_lock(descriptor: int) -> bool:
    """Whether the file is ours alone now, until the descriptor is closed."""
    os.lseek(descriptor, LOCKED_BYTE, os.SEEK_SET)
    try:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    except OSError:
        return False
    finally:
        os.lseek(descriptor, 0, os.SEEK_SET)
    return True


def open_to_append(path: Path) -> int:
    """A descriptor whose writes go to the file's end also in a process that inherits it, and that
    leaves the file free to be renamed. OSError."""
    file = _kernel.CreateFileW(str(path), _APPEND, _SHARE_ALL, None, _OPEN_ALWAYS, _NORMAL, None)
    if file == _INVALID:
        raise ctypes.WinError(ctypes.get_last_error())
    return msvcrt.open_osfhandle(file, os.O_WRONLY | os.O_BINARY | os.O_NOINHERIT)


def replace(source: Path, target: Path) -> None:
    """As `os.replace`, also where somebody is just reading `target`."""
    deadline = time.monotonic() + REPLACE_WAIT_S
    while True:
        try:
            os.replace(source, target)
            return
        except PermissionError:
            if time.monotonic() > deadline:
                raise
        time.sleep(_LOOK_S)


def prepare_console() -> None:
    """Have it understand colours, and be told nothing that it cannot write."""
    os.system("")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a file's code page may lack some characters
            stream.reconfigure(errors="replace")
