"""What SIGHUP means."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator

import pytest

from tricorn.manager.lifecycle.hangup import Terminal

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs terminals of posix")


@pytest.fixture(autouse=True)
def not_by_nohup() -> Iterator[None]:
    """Whoever runs these tests may have been started by it, and what it ignores is inherited."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def test_a_terminal_that_goes() -> None:
    """Its other end is closed: reading hangs up."""
    other, ours = os.openpty()
    terminal = Terminal(ours)
    assert not terminal.has_gone()
    os.close(other)
    assert terminal.has_gone()
    os.close(ours)


def test_by_nohup() -> None:
    """Such a server is meant to outlive its terminal."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    other, ours = os.openpty()
    terminal = Terminal(ours)
    os.close(other)
    assert not terminal.has_gone()
    os.close(ours)


def test_no_terminal() -> None:
    """A service has none, and so none that could go."""
    read_end, write_end = os.pipe()
    terminal = Terminal(read_end)
    os.close(write_end)
    assert not terminal.has_gone()
    os.close(read_end)
    assert not terminal.has_gone()
