"""What the manager answers, and what routes make of it."""

from __future__ import annotations

import json
from typing import Any

import httpx

STATUS = {"id": "a", "state": "READY"}


def events(response: httpx.Response) -> list[Any]:
    """Of a stream: JSON, or the text where it is none."""
    assert response.headers["Content-Type"].startswith("text/event-stream")
    lines = [line.removeprefix("data: ") for line in response.text.splitlines() if line]
    return [json.loads(line) if line.startswith("{") else line for line in lines]
