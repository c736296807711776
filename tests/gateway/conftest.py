"""A gateway in this process, with FakeEngine workers behind it and OpenAI's SDK in front."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from flask import Flask
from tests.gateway.control_server import ControlServer
from tests.gateway.engines import FakeManager, ScriptedWorker
from tests.gateway.gunicorn_server import Gunicorn

from tricorn.gateway.app import create_app
from tricorn.settings.config import Settings

MODELS: dict[str, dict[str, Any]] = {
    "echo": {},
    "hello": {"answer": "Hello, 世界! 👋"},
    "bound": {"constraints": True},
    "gap": {"fill_in_middle": True},
    "mute": {"prompt_logprobs": False},
    "seeing": {"vision": True},
    "vectors": {"pooling": "embed"},
    "cut": {"pooling": "embed", "matryoshka": True},
    "ranks": {"pooling": "score"},
    "endless": {"answer": "abc ", "endless": True, "token_delay_s": 0.005},
}


@pytest.fixture(scope="package")
def manager() -> Iterator[FakeManager]:
    """Its workers start when a test first asks for them, and serve all tests."""
    fake = FakeManager(dict(MODELS))
    yield fake
    fake.close()


@pytest.fixture
def make_app(tmp_path: Path, manager: FakeManager) -> Callable[..., Flask]:
    """Applications with the settings that a test wants."""

    def make(own: Any = None, **settings: Any) -> Flask:
        folders = {"run_dir": tmp_path / "run", "data_dir": tmp_path / "data"}
        return create_app(Settings(**folders | settings), own or manager)

    return make


@pytest.fixture
def app(make_app: Callable[..., Flask]) -> Flask:
    return make_app()


@pytest.fixture
def http(app: Flask) -> Iterator[httpx.Client]:
    with httpx.Client(
        transport=httpx.WSGITransport(app=app),
        base_url="http://tricorn",  # type: ignore[arg-type]
    ) as client:
        yield client


def sdk_for(app: Flask) -> openai.OpenAI:
    """OpenAI's own client on `app`; it retries nothing."""
    transport = httpx.WSGITransport(app=app)  # type: ignore[arg-type]
    return openai.OpenAI(
        base_url="http://tricorn/v1",
        api_key="any",
        max_retries=0,
        http_client=httpx.Client(transport=transport),
    )


@pytest.fixture
def sdk(app: Flask) -> Iterator[openai.OpenAI]:
    with sdk_for(app) as client:
        yield client


@pytest.fixture
def scripted() -> Iterator[ScriptedWorker]:
    worker = ScriptedWorker()
    yield worker
    worker.close()


# --- under gunicorn: each module that asks for these has `settings` of its own -------------------


@pytest.fixture(scope="module")
def worker() -> Iterator[ScriptedWorker]:
    scripted = ScriptedWorker()
    yield scripted
    scripted.close()


@pytest.fixture(scope="module")
def control(settings: Settings, worker: ScriptedWorker) -> Iterator[ControlServer]:
    server = ControlServer(settings, worker)
    yield server
    server.close()


@pytest.fixture(scope="module")
def gunicorn(settings: Settings, control: ControlServer) -> Iterator[Gunicorn]:
    running = Gunicorn(settings)
    yield running
    running.close()
