"""Fixtures of the manager's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.manager.harness import short_folder

from tricorn import logs


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose path is short enough for unix sockets."""
    with short_folder() as name:
        yield Path(name)


@pytest.fixture(autouse=True)
def level_as_it_was() -> Iterator[None]:
    """What a manager tells its clients of the level of logging holds in this process too."""
    before = logs.level()
    yield
    logs.set_level(before)
