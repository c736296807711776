"""A gateway whose models answer by a script, for the Responses API."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from flask import Flask
from tests.gateway.conftest import sdk_for
from tests.gateway.engines import FakeManager
from tests.gateway.tool_answers import OSLO, THINKING, TIME

from tricorn.gateway.app import create_app
from tricorn.settings.config import Settings

MODELS: dict[str, dict[str, Any]] = {
    "echo": {},
    "held": {"constraints": True},
    "paris": {"constraints": True, "answer": '{"city": "Paris", "people": 2}'},
    "caller": {"answer": f"Let me see.\n{OSLO}\n{TIME}"},
    "held-caller": {"constraints": True, "answer": OSLO},
    "thinker": {"answer": "<think>\nHm.\n</think>\n\nYes.", "chat_template": THINKING},
    "seeing": {"vision": True},
}


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    manager = FakeManager(dict(MODELS))
    folder = tmp_path_factory.mktemp("tricorn")
    yield create_app(Settings(run_dir=folder / "run", data_dir=folder / "data"), manager)
    assert manager.leased == 0
    manager.close()


@pytest.fixture(scope="module")
def client(app: Flask) -> Iterator[openai.OpenAI]:
    with sdk_for(app) as sdk:
        yield sdk


@pytest.fixture
def http(app: Flask) -> Iterator[httpx.Client]:
    transport = httpx.WSGITransport(app=app)  # type: ignore[arg-type]
    with httpx.Client(transport=transport, base_url="http://tricorn") as client:
        yield client
