"""One at a time: others wait, and are told what for."""

from __future__ import annotations

import threading
from pathlib import Path

from tests.installing.quick_pip import installs

from tricorn.installing import environments, file_lock
from tricorn.installing.environment_state import Environment


def test_two_at_once_install_once(wanted: Environment) -> None:
    """The second waits for the first and finds it done."""
    told: list[str] = []
    both = [
        threading.Thread(target=environments.ensure, args=(wanted, told.append)) for _ in range(2)
    ]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join(timeout=50)
    assert installs(wanted) == 1
    assert sum("Installing probe" in line for line in told) == 1


def test_waiting_for_a_lock_is_told(tmp_path: Path) -> None:
    """Who waits knows what for."""
    told: list[str] = []
    waiting = threading.Event()

    def say(line: str) -> None:
        told.append(line)
        waiting.set()

    def second() -> None:
        with file_lock.hold(tmp_path / "lock", "doing it", say):
            told.append("mine")

    with file_lock.hold(tmp_path / "lock", "doing it", say):
        thread = threading.Thread(target=second)
        thread.start()
        assert waiting.wait(timeout=20)
        assert told == ["Another process is doing it: waiting for it"]
    thread.join(timeout=20)
    assert told[-1] == "mine"
