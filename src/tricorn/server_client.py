"""A Tricorn server, asked over HTTP by the commands that need one that runs."""

from __future__ import annotations

import http.client
import json
import os
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from tricorn.access import secret
from tricorn.config import Settings
from tricorn.errors import TricornError

TIMEOUT_S = 3600.0
"""Of silence. A load that waits its turn is told of every few seconds."""
KEY = "TRICORN_API_KEY"
"""Environment variable of the key, where none is given."""


class ServerUnreachable(TricornError):
    code = "server_unreachable"


class ServerRefused(TricornError):
    code = "server_refused"


class ServerClient:
    """url: as http://127.0.0.1:8000; key: None: that of the environment, if any."""

    def __init__(self, url: str, key: str | None = None) -> None:
        parts = urlsplit(url if "//" in url else f"http://{url}")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ServerUnreachable(f"{url} is no address of a server; write http://HOST:PORT")
        self.url = f"{parts.scheme}://{parts.netloc}"
        self._parts = parts
        self._key = key if key is not None else os.environ.get(KEY)

    def is_up(self) -> bool:
        """Whether a server answers there."""
        try:
            self.get("/health")
        except TricornError:
            return False
        return True

    def get(self, path: str) -> Any:
        """The JSON that it answers with. ServerUnreachable; ServerRefused with its own words."""
        return self.ask("GET", path)

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """As `get`."""
        connection, response = self._answer(method, path, body)
        try:
            return json.loads(response.read() or b"null")
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self._lost(error) from error
        finally:
            connection.close()

    def events(self, method: str, path: str, body: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """The objects of a stream, as they come; the last one is the answer. As `get`."""
        connection, response = self._answer(method, path, body, stream=True)
        try:
            for line in response:
                if not line.startswith(b"data: ") or line.startswith(b"data: [DONE]"):
                    continue
                told = json.loads(line[6:])
                if "error" in told and "object" not in told:
                    raise ServerRefused(str(told["error"]["message"]))
                yield told
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise self._lost(error) from error
        finally:
            connection.close()

    def _answer(
        self, method: str, path: str, body: dict[str, Any] | None, *, stream: bool = False
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        secure = self._parts.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        connection = kind(str(self._parts.hostname), self._parts.port, timeout=TIMEOUT_S)
        headers = {"Accept": "text/event-stream" if stream else "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        if body is not None:
            headers["Content-Type"] = "application/json"
        try:
            sent = None if body is None else json.dumps(body)
            connection.request(method, path, sent, headers)
            response = connection.getresponse()
            if response.status >= 400:
                raise ServerRefused(_message(response))
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise self._lost(error) from error
        except ServerRefused:
            connection.close()
            raise
        return connection, response

    def _lost(self, error: Exception) -> ServerUnreachable:
        if isinstance(error, ConnectionRefusedError):
            return ServerUnreachable(f"no server runs at {self.url}")
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return ServerUnreachable(f"the server at {self.url} cannot be reached: {why}")


def key_for(settings: Settings, *, given: str | None, elsewhere: bool) -> str | None:
    """The key that a command sends: the one it was given, else the environment's, else the admin
    key that was made here; that one never to a server elsewhere."""
    found = given or os.environ.get(KEY)
    return found or (None if elsewhere else secret.admin_key(settings.data_dir))


def url_of(settings: Settings) -> str:
    """Where the server with these settings is reached from this machine."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(settings.host, settings.host)
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"


def _message(response: http.client.HTTPResponse) -> str:
    text = response.read()
    if response.status == 401:
        return f"the server needs a key that holds: give one by --api-key or {KEY}"
    try:
        return str(json.loads(text)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return f"the server answers with status {response.status}"
