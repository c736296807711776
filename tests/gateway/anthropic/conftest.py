"""A gateway whose models answer by a script, for Anthropic's clients."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from flask import Flask
from tests.gateway.anthropic.ask import MODELS, client_of
from tests.gateway.engines import FakeManager

from tricorn.gateway.app import create_app
from tricorn.settings.config import Settings


@pytest.fixture(scope="module")
def manager() -> Iterator[FakeManager]:
    fake = FakeManager(dict(MODELS))
    yield fake
    assert fake.leased == 0
    fake.close()


@pytest.fixture(scope="module")
def app(manager: FakeManager, tmp_path_factory: pytest.TempPathFactory) -> Flask:
    folder: Path = tmp_path_factory.mktemp("run")
    return create_app(Settings(run_dir=folder, data_dir=folder), manager)


@pytest.fixture
def http(app: Flask) -> Iterator[httpx.Client]:
    with client_of(app) as client:
        yield client
