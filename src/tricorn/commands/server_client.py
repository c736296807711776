"""A Tricorn server, asked over HTTP by the commands that need one that runs."""

from __future__ import annotations

import http.client
import json
import os
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tricorn import tls
from tricorn.access import secret
from tricorn.errors import TricornError
from tricorn.settings.config import Settings
from tricorn.settings.hidden_flags import OF_COMMANDS

TIMEOUT_S = 3600.0
"""Of silence. A load that waits its turn is told of every few seconds."""
KEY = OF_COMMANDS
"""Environment variable of the key, where none is given."""


class ServerUnreachable(TricornError):
    code = "server_unreachable"


class ServerRefused(TricornError):
    code = "server_refused"


class ServerClient:
    """url: as http://127.0.0.1:8000; key: None: that of the environment, if any.

    certificate: of a server on this machine, which is then trusted alone; None: those that the
    system trusts, or SSL_CERT_FILE.
    """

    def __init__(
        self, url: str, key: str | None = None, *, certificate: Path | None = None
    ) -> None:
        parts = urlsplit(url if "//" in url else f"http://{url}")
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ServerUnreachable(f"{url} is no address of a server; write http://HOST:PORT")
        self.url = f"{parts.scheme}://{parts.netloc}"
        self._parts = parts
        self._key = key if key is not None else os.environ.get(KEY)
        self._trust: ssl.SSLContext | None = None
        if certificate is not None:
            self._trust = tls.own_client_context(certificate)

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
        connection = self._connection()
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

    def _connection(self) -> http.client.HTTPConnection:
        host, port = str(self._parts.hostname), self._parts.port
        if self._parts.scheme == "https":
            return http.client.HTTPSConnection(host, port, timeout=TIMEOUT_S, context=self._trust)
        return http.client.HTTPConnection(host, port, timeout=TIMEOUT_S)

    def _lost(self, error: Exception) -> ServerUnreachable:
        if isinstance(error, ConnectionRefusedError):
            return ServerUnreachable(f"no server runs at {self.url}")
        if isinstance(error, ssl.SSLCertVerificationError):
            return ServerUnreachable(
                f"the certificate of the server at {self.url} is not trusted here "
                f"({error.verify_message}); SSL_CERT_FILE names a file of certificates that are"
            )
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return ServerUnreachable(f"the server at {self.url} cannot be reached: {why}")


def connect(settings: Settings, *, url: str | None, key: str | None) -> ServerClient:
    """To the server at `url`, or else to the one with these settings on this machine. StartupError
    where its certificate cannot be read."""
    if url:
        return ServerClient(url, key)
    return ServerClient(url_of(settings), key, certificate=settings.tls_cert)


def key_for(settings: Settings, *, given: str | None, elsewhere: bool) -> str | None:
    """The key that a command sends: the one it was given, else the environment's, else one of the
    settings or the admin key that was made here; these never to a server elsewhere."""
    found = given or os.environ.get(KEY)
    if found or elsewhere:
        return found
    configured = [key.get_secret_value() for key in settings.api_keys]
    return configured[0] if configured else secret.admin_key(settings.data_dir)


def url_of(settings: Settings) -> str:
    """Where the server with these settings is reached from this machine."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(settings.host, settings.host)
    return f"{settings.scheme()}://{f'[{host}]' if ':' in host else host}:{settings.port}"


def _message(response: http.client.HTTPResponse) -> str:
    text = response.read()
    if response.status == 401:
        return f"the server needs a key that holds: give one by --api-key or {KEY}"
    try:
        return str(json.loads(text)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return f"the server answers with status {response.status}"
