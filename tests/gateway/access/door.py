"""A gateway and the keys to it."""

from __future__ import annotations

from typing import Any

from flask import Flask
from flask.testing import FlaskClient

from tricorn.access.terms import Terms
from tricorn.gateway.services import EXTENSION, Services

JWT_SECRET = "s" * 32
STATUS = {"id": "plain", "state": "READY"}
CHAT = {"model": "plain", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 4}


class Door:
    """A gateway that others than this machine may reach, and the keys to it."""

    def __init__(self, app: Flask) -> None:
        self.client: FlaskClient = app.test_client()
        self.services: Services = app.extensions[EXTENSION]

    def key(self, *permissions: str, **terms: Any) -> dict[str, str]:
        """The header of a new key."""
        made = Terms(permissions=permissions or ("all",), **terms)
        _, text = self.services.keys.create("a key", made)
        self.services.key_book.forget()
        return {"Authorization": f"Bearer {text}"}

    def status(self, path: str, headers: dict[str, str] | None = None, **how: Any) -> int:
        return self.client.open(path, headers=headers, **how).status_code
