"""tricorn.yaml's sections."""

from __future__ import annotations

from pathlib import Path

import pytest

from tricorn.errors import StartupError
from tricorn.settings import file as settings_file


def test_sections_group_flat_names() -> None:
    """A setting means the same at the top of the file and in its section; empty ones are fine."""
    found = settings_file.flat({"server": {"port": 1}, "host": "h", "limits": None})
    assert (found.values, found.problems) == ({"port": 1, "host": "h"}, [])


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (
            {"server": {"log_level": "INFO"}},
            "server.log_level: log_level belongs under logging:, or to the top of the file",
        ),
        ({"server": {"models": {}}}, "server.models: models belongs to the top of the file"),
        ({"server": {"prot": 1}}, "server.prot: no such setting; did you mean port?"),
        (
            {"server": {"log_levle": "INFO"}},
            "server.log_levle: no such setting; did you mean log_level (under logging:)?",
        ),
        ({"server": {"qqq": 1}}, "server.qqq: no such setting"),
        ({"port": 1, "server": {"port": 1}}, "port and server.port are the same: give one"),
        ({"server": 3}, "server: must be a mapping of settings (got 3)"),
    ],
)
def test_what_does_not_belong_there(content: dict[str, object], problem: str) -> None:
    """Told with where it belongs, or what was meant."""
    assert settings_file.flat(content).problems == [problem]


def test_a_model_without_settings_is_named_all_the_same() -> None:
    """`NAME:` with nothing under it; names that YAML reads as numbers are texts."""
    found = settings_file.flat({"models": {"m": None, 7: {"threads": 1}}})
    assert found.values == {"models": {"m": {}, "7": {"threads": 1}}}


@pytest.mark.parametrize("text", ["port: [1\n", "- a\n", "\udcff"])
def test_what_is_no_mapping_cannot_be_read(tmp_path: Path, text: str) -> None:
    """With the file's name."""
    file = tmp_path / "tricorn.yaml"
    file.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(StartupError, match=r"tricorn\.yaml cannot be read"):
        settings_file.read(file)


def test_an_empty_file_says_nothing(tmp_path: Path) -> None:
    """Nor does one with comments alone."""
    (tmp_path / "tricorn.yaml").write_text("# port: 1\n")
    assert settings_file.read(tmp_path / "tricorn.yaml") == settings_file.Flat()
