"""One server for all clients. Their own tests run in their environments, not in this process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.clients import models
from tests.e2e.server import Server, running

HERE = Path(__file__).parent
HERE_TOO = {"openai_sdk", "recorded"}
"""Folders whose tests need nothing that `.venv` lacks."""
FOREIGN = sorted(
    folder.name
    for folder in HERE.iterdir()
    if folder.name not in HERE_TOO and any(folder.glob("test_*.py"))
)
collect_ignore = FOREIGN
CLIENT_S = 900
"""Its installation and all its tests."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.alone)
            foreign = item.path.name == "test_clients.py"
            item.add_marker(pytest.mark.timeout(CLIENT_S if foreign else 180))
            if os.name != "posix":
                item.add_marker(pytest.mark.skip(reason="servers are ended by POSIX signals here"))


@pytest.fixture(scope="session")
def vectors() -> Path | None:
    """The file of a model that makes vectors."""
    return models.vectors_file()


@pytest.fixture(scope="session")
def served(vectors: Path | None) -> Iterator[Server]:
    config = models.config(vectors)
    with running(config=config, mode="prod", max_concurrent_models=4) as server:
        yield server
