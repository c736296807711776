"""Run a command that takes minutes and show that it lives; the full output goes to a log file.

On a terminal: one live line with the elapsed time and the command's last words. Elsewhere: a plain
line every half minute. Standard library only.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from io import RawIOBase
from pathlib import Path
from typing import NoReturn, TextIO

if sys.platform == "win32":
    from tricorn import windows

Say = Callable[[str], None]

PLAIN_INTERVAL_S = 30.0
MOST_SHOWN = 100
"""Characters of an output line; pip names all the packages of an engine in one."""
TERMINATED = 128 + signal.SIGTERM
"""Exit code of a process that SIGTERM ended, as shells count."""
_TERMINAL_INTERVAL_S = 0.2
_KEPT_LINES = 2000
_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_NINJA_STEP = re.compile(r"^\[\s*(\d+)/(\d+)\]")
_TELLING = (
    *("Building", "Collecting", "Created", "Downloading", "Installed", "Installing", "Obtaining"),
    *("Prepared", "Preparing", "Resolved"),
)
"""pip -v repeats its index look-ups and cmake its probes: noise on a status line."""


class CommandFailed(Exception):
    """The command ended with another code than 0."""

    def __init__(self, code: int, output: str) -> None:
        super().__init__(f"exit code {code}")
        self.code = code
        self.output = output
        """Its last lines, standard output and error together."""


def elapsed(seconds: float) -> str:
    """`0:07`, `12:34`, `1:02:03`."""
    minutes, secs = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{secs:02}" if hours else f"{minutes}:{secs:02}"


def summary(line: str) -> str:
    """What of an output line is worth showing; empty for none."""
    line = _ANSI.sub("", line).strip()
    step = _NINJA_STEP.match(line)
    if step:
        return f"compiling, step {step[1]} of {step[2]}"
    if line.startswith(_TELLING):
        return line if len(line) <= MOST_SHOWN else line[: MOST_SHOWN - 1] + "…"
    return ""


def run(
    command: Sequence[str | Path],
    title: str,
    *,
    say: Say,
    log: Path,
    env: Mapping[str, str] | None = None,
    keep_open: Sequence[int] = (),
    terminal: TextIO | None = None,
    plain_interval_s: float = PLAIN_INTERVAL_S,
) -> str:
    """Run to the end and give the last lines of its output. CommandFailed, or OSError at start.

    keep_open: file descriptors that the command inherits (a lock that it then holds as well).
    terminal: where the live line goes; None: standard output if that is a terminal.
    Whatever ends the wait (Ctrl-C and SIGTERM included) ends the command and all that it started.
    """
    if terminal is None and sys.stdout.isatty():
        terminal = sys.stdout
    log.parent.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    lines: deque[str] = deque(maxlen=_KEPT_LINES)
    shown = ""

    with log.open("ab", buffering=0) as log_file:
        words = [str(word) for word in command]
        _note(log_file, f"\n$ {' '.join(words)}\n")
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=None if env is None else dict(env),
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=os.name == "posix",
            pass_fds=tuple(keep_open) if os.name == "posix" else (),
        )
        end = _ending(process)
        stdout = process.stdout
        assert stdout is not None

        def read() -> None:
            nonlocal shown
            for line in stdout:
                _note(log_file, line)
                lines.append(line)
                shown = summary(line) or shown

        reader = threading.Thread(target=read, name="install-output", daemon=True)
        reader.start()
        try:
            interval = _TERMINAL_INTERVAL_S if terminal else plain_interval_s
            with _sigterm_raises():
                while process.poll() is None:
                    try:
                        process.wait(interval)
                    except subprocess.TimeoutExpired:
                        words_now = f"{title}, {elapsed(time.monotonic() - started)}"
                        words_now += f": {shown}" if shown else ""
                        if terminal:
                            _show(terminal, words_now)
                        else:
                            say(f"  … {words_now}")
        except BaseException:
            end()
            process.wait()
            raise
        finally:
            if terminal:
                _show(terminal, "")
            # A grandchild may hold the pipe open for ever; its last words are not worth that.
            reader.join(timeout=5.0)

    output = "".join(lines)
    if process.returncode != 0:
        raise CommandFailed(process.returncode, output)
    say(f"  {title}: done in {elapsed(time.monotonic() - started)}")
    return output


def _note(log_file: RawIOBase, text: str) -> None:
    with contextlib.suppress(OSError):  # where the disk is full, the command itself will say so
        log_file.write(text.encode())


@contextlib.contextmanager
def _sigterm_raises() -> Iterator[None]:
    """By default SIGTERM ends this process on the spot, and leaves a compiler running behind it."""
    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return

    def leave(number: int, frame: object) -> NoReturn:
        raise SystemExit(TERMINATED)

    signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _show(terminal: TextIO, text: str) -> None:
    width = max(20, shutil.get_terminal_size().columns - 4)
    terminal.write("\r\x1b[2K" + (f"  {text[:width]}" if text else ""))
    terminal.flush()


def _ending(process: subprocess.Popen[str]) -> Callable[[], None]:
    """What kills the command and its children; half-done work is found and redone by the next
    run."""
    if sys.platform == "win32":
        return windows.Job(process.pid).end

    def kill() -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

    return kill
