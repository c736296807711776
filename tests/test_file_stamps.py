"""Whether files have changed."""

from __future__ import annotations

from pathlib import Path

from tricorn.file_stamps import stamps


def test_a_change_is_seen(tmp_path: Path) -> None:
    """By size, by time, by being another file, and by being there at all."""
    file, other = tmp_path / "a", tmp_path / "b"
    seen = [stamps([file])]
    file.write_text("1")
    seen.append(stamps([file]))
    assert stamps(seen[-1]) == seen[-1]
    file.write_text("12")
    seen.append(stamps([file]))
    other.write_text("34")
    other.replace(file)
    seen.append(stamps([file]))
    assert seen[0] == {file: None}
    assert len({one[file] for one in seen}) == 4
