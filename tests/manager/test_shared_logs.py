"""Tests of `tricorn.manager.figures.shared_logs`."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.polling import wait_until

from tricorn import log_files
from tricorn.log_files.rotating import Rotation
from tricorn.manager.figures import shared_logs
from tricorn.manager.figures.shared_logs import SharedLogs

ROTATION = Rotation(max_bytes=10**6, keep_days=1, keep_files=1)


def test_lines_are_in_their_files(tmp_path: Path) -> None:
    """All of them, when it is closed; nothing is made before there is a line."""
    logs = SharedLogs(tmp_path / "logs", ROTATION)
    assert not (tmp_path / "logs").exists()
    for number in range(3000):
        logs.write(log_files.INFERENCE, [b"%d" % number])
    logs.service(b"said")
    logs.close()
    logs.service(b"too late")
    lines = (tmp_path / "logs" / "inference.log").read_bytes().split()
    assert [int(line) for line in lines] == list(range(3000))
    assert (tmp_path / "logs" / "tricorn.log").read_bytes() == b"said\n"
    assert not (tmp_path / "logs" / "metrics.log").exists()


def test_a_folder_that_cannot_be_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Is said once, and the lines are counted; it is tried again with each line."""
    folder = tmp_path / "logs"
    folder.write_text("a file")
    logs = SharedLogs(folder, ROTATION)
    for count in (1, 2):
        logs.service(b"line")
        wait_until(lambda count=count: logs.lost == count)
    folder.unlink()
    logs.service(b"at last")
    logs.close()
    assert capsys.readouterr().err.count("the logs cannot be written") == 1
    assert (folder / "tricorn.log").read_bytes() == b"at last\n"


def test_a_disk_that_is_far_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines beyond the bound are lost rather than kept in memory, and counted."""
    monkeypatch.setattr(shared_logs, "MAX_WAITING", 2)
    logs = SharedLogs(tmp_path, ROTATION)
    monkeypatch.setattr(logs, "_run", lambda: None)
    logs.write(log_files.SERVICE, [b"1", b"2", b"3", b"4"])
    assert logs.lost == 2
