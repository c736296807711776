"""What clients notice of an engine that hangs: gateway, manager and workers as they are."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.gateway.conftest import sdk_for
from tests.manager.harness import Manager, running_in_thread, settings_for, short_folder

from tricorn.gateway.app import create_app

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of posix")

ASKED: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}


@pytest.fixture
def manager() -> Iterator[Manager]:
    """Its model hangs once, at its third token."""
    with short_folder() as name:
        knobs = {"hang_at_token": 3, "hang_marker": str(Path(name) / "hung")}
        settings = settings_for(Path(name), models={"m": knobs}, hang_timeout_s=1)
        with running_in_thread(settings) as found:
            yield found


def test_a_whole_answer_is_given_by_the_next_engine(manager: Manager) -> None:
    """Nothing had been sent: it is tried once more, and nobody notices."""
    with sdk_for(create_app(manager.settings)) as client:
        answer = client.chat.completions.create(**ASKED)
    assert answer.choices[0].message.content == "hello"
    first, second = manager.started
    assert first.failure is not None
    assert "made no progress" in first.failure.message
    assert second.state == "READY"


def test_a_stream_that_has_begun_ends_with_an_error(manager: Manager) -> None:
    """And without its [DONE]; the next request is served."""
    app = create_app(manager.settings)
    transport = httpx.WSGITransport(app=app)
    with httpx.Client(transport=transport, base_url="http://tricorn") as http:
        told = http.post("/v1/chat/completions", json=ASKED | {"stream": True}).text
        *_, last = [line for line in told.splitlines() if line]
        assert json.loads(last.removeprefix("data: "))["error"]["code"] == "engine_lost"
        again = http.post("/v1/chat/completions", json=ASKED).json()
    assert again["choices"][0]["message"]["content"] == "hello"
