"""A gateway whose models answer by a script, for Ollama's clients."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from tests.gateway.engines import FakeManager
from tests.gateway.tool_answers import OSLO, THINKING, TIME

from tricorn.gateway.app import create_app
from tricorn.settings.config import Settings

MODELS: dict[str, dict[str, Any]] = {
    "echo": {},
    "hello": {"answer": "Hello!"},
    "lines": {"answer": "a\u2028b\x85c"},
    "bound": {"constraints": True},
    "gap": {"fill_in_middle": True},
    "seeing": {"vision": True},
    "no-chat": {"chat_template": "{% for"},
    "vectors": {"pooling": "embed"},
    "caller": {"answer": f"Let me see.\n{OSLO}\n{TIME}"},
    "thinker": {"answer": "<think>\nHm.\n</think>\n\nYes.", "chat_template": THINKING},
    "tagged:latest": {"answer": "I am tagged."},
    "tagged": {"answer": "I am not."},
}


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeManager]:
    manager = FakeManager(dict(MODELS))
    yield manager
    assert manager.leased == 0
    manager.close()


@pytest.fixture
def api(tmp_path: Any, fake: FakeManager) -> Iterator[httpx.Client]:
    app = create_app(Settings(run_dir=tmp_path / "run"), fake)
    transport = httpx.WSGITransport(app=app)
    with httpx.Client(transport=transport, base_url="http://tricorn/api") as client:
        yield client
