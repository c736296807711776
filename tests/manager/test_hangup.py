"""What SIGHUP means."""

from __future__ import annotations

import os
import sys

import pytest

from tricorn.manager.hangup import Terminal

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs terminals of posix")


def test_a_terminal_that_goes() -> None:
    """Its other end is closed: reading hangs up."""
    other, ours = os.openpty()
    terminal = Terminal(ours)
    assert not terminal.has_gone()
    os.close(other)
    assert terminal.has_gone()
    os.close(ours)


def test_no_terminal() -> None:
    """A service has none, and so none that could go."""
    read_end, write_end = os.pipe()
    terminal = Terminal(read_end)
    os.close(write_end)
    assert not terminal.has_gone()
    os.close(read_end)
    assert not terminal.has_gone()
