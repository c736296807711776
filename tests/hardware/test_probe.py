"""Tests of `tricorn.hardware.probe`: nothing raises, nothing hangs."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from tricorn.hardware import probe
from tricorn.hardware.probe import Findings


def test_a_command_is_read() -> None:
    """What it prints comes back stripped."""
    assert probe.output(sys.executable, "-c", "print(' x ')") == "x"


def test_a_failing_or_missing_command_is_unknown() -> None:
    """No program, a bad exit code and an empty answer are None."""
    assert probe.output("no-such-program-anywhere") is None
    assert probe.output(sys.executable, "-c", "print(1); raise SystemExit(3)") is None
    assert probe.output(sys.executable, "-c", "") is None


def test_a_hanging_command_is_left_behind() -> None:
    """A command that does not answer in time is given up."""
    forever = "import threading; threading.Event().wait(30)"
    assert probe.output(sys.executable, "-c", forever, timeout_s=0.05) is None


def test_a_hanging_call_is_left_behind() -> None:
    """A call that does not come back is given up; one that does gives its result."""
    release = threading.Event()
    assert probe.bounded(release.wait, timeout_s=0.05) == (False, None)
    release.set()
    assert probe.bounded(lambda: 7) == (True, 7)


def test_a_failing_call_is_unknown() -> None:
    """Whatever a vendor's library raises, it is no more than an unknown fact."""
    assert probe.bounded(lambda: 1 // 0) == (True, None)


def test_the_first_source_wins() -> None:
    """A known fact keeps its source; unknown values are not kept."""
    found = Findings()
    found.note("a", None, "nothing")
    found.note("a", 1, "first")
    found.note("a", 2, "second")
    assert (found.values, found.sources) == ({"a": 1}, {"a": "first"})


def test_texts(tmp_path: Path) -> None:
    """The device tree ends its texts with a NUL; a missing file and no number are None."""
    (tmp_path / "model").write_bytes(b"Raspberry Pi 5\x00")
    assert probe.read(tmp_path / "model") == "Raspberry Pi 5"
    assert probe.read(tmp_path / "none") is None
    assert [probe.integer(text) for text in ("12", "x", None)] == [12, None, None]
    assert probe.integer("0x10de", 16) == 0x10DE
