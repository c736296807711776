"""One server for all the tests that leave it whole.

Modules with a fake engine say LEAVES_ROOM: they run beside other tests, the others alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest
from tests.e2e.server import Server, running

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            if not getattr(item.module, "LEAVES_ROOM", False):
                item.add_marker(pytest.mark.alone)
            if os.name != "posix":
                item.add_marker(pytest.mark.skip(reason="servers are ended by POSIX signals here"))


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    with running() as found:
        yield found


@pytest.fixture
def client(server: Server) -> openai.OpenAI:
    return server.client
