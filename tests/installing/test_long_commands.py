"""Long commands show that they live, and end with whoever waits for them."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tricorn.installing import long_commands

SOURCE = Path(__file__).resolve().parents[2] / "src"


def test_a_long_command_shows_that_it_lives(tmp_path: Path) -> None:
    """Without a terminal: plain lines with elapsed time and the newest step."""
    told: list[str] = []
    lived = threading.Event()
    go_on = tmp_path / "go-on"

    def say(line: str) -> None:
        told.append(line)
        if "step 3 of 62" in line:
            lived.set()
            go_on.write_text("x")

    code = (
        "import pathlib, time; print('[3/62] Building C object x.o', flush=True)\n"
        f"while not pathlib.Path({str(go_on)!r}).exists(): time.sleep(0.01)"
    )
    long_commands.run(
        [sys.executable, "-c", code],
        "building",
        say=say,
        log=tmp_path / "log",
        plain_interval_s=0.05,
    )
    assert lived.is_set()
    assert any(line.startswith("  … building, 0:0") for line in told)
    assert told[-1].startswith("  building: done in")


def test_what_of_its_words_is_shown() -> None:
    """What says how far it is, and not all of a long list."""
    packages = "Installing collected packages: " + ", ".join(map(str, range(200)))
    assert long_commands.summary("[3/62] Building C object x.o") == "compiling, step 3 of 62"
    assert long_commands.summary("Looking in links: /wheels") == ""
    assert long_commands.summary("Collecting torch") == "Collecting torch"
    assert long_commands.summary(packages) == packages[: long_commands.MOST_SHOWN - 1] + "…"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is always full")
def test_no_room_for_its_log(tmp_path: Path) -> None:
    """It runs on, and its last words are there."""
    talk = [sys.executable, "-c", "for n in range(20_000): print('line', n)"]
    output = long_commands.run(talk, "talking", say=lambda line: None, log=Path("/dev/full"))
    assert output.endswith("line 19999\n")


@pytest.mark.skipif(os.name != "posix", reason="signals and links of POSIX systems")
def test_a_signal_ends_a_running_install(tmp_path: Path) -> None:
    """SIGTERM while a command runs ends that command too, and the exit code tells."""
    code = (
        "import sys; from pathlib import Path; from tricorn.installing import long_commands\n"
        "child = 'import os, time; print(\"Installing\", os.getpid(), flush=True);'\n"
        "child += 'time.sleep(60)'\n"
        "long_commands.run([sys.executable, '-c', child], 'probe', plain_interval_s=0.05,\n"
        "    say=lambda line: print(line, flush=True), log=Path(sys.argv[1]))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "log")],
        env={**os.environ, "PYTHONPATH": str(SOURCE)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    line = next(line for line in process.stdout if "Installing" in line)
    child = int(line.split()[-1])
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=20) == long_commands.TERMINATED
    process.stdout.close()
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def test_a_failure_brings_its_output(tmp_path: Path) -> None:
    """The last lines come with the error, and all of it is in the log."""
    code = "import sys; print('first'); print('second', file=sys.stderr); sys.exit(3)"
    with pytest.raises(long_commands.CommandFailed) as caught:
        long_commands.run(
            [sys.executable, "-c", code], "failing", say=lambda _: None, log=tmp_path / "log"
        )
    assert caught.value.code == 3
    assert "second" in caught.value.output
    assert "first" in (tmp_path / "log").read_text(encoding="utf-8")


def test_a_terminal_gets_one_live_line(tmp_path: Path) -> None:
    """It is drawn over itself and gone at the end."""
    terminal = io.StringIO()
    long_commands.run(
        [sys.executable, "-c", "import time; time.sleep(0.5)"],
        "working",
        say=lambda _: None,
        log=tmp_path / "log",
        terminal=terminal,
    )
    drawn = terminal.getvalue()
    assert "\r\x1b[2K  working, 0:00" in drawn
    assert drawn.endswith("\r\x1b[2K")
    assert "\n" not in drawn


def test_elapsed_time_is_short() -> None:
    """Minutes and seconds, hours when there are some."""
    assert [long_commands.elapsed(s) for s in (7, 754, 3723)] == ["0:07", "12:34", "1:02:03"]
