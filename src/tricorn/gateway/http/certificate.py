"""The certificate of a gateway process: connections are made with what its files held last."""

from __future__ import annotations

import functools
import ssl
from pathlib import Path
from typing import Any

import structlog

from tricorn import tls
from tricorn.errors import StartupError
from tricorn.file_stamps import stamps
from tricorn.gateway.http.patience import Patience
from tricorn.gateway.http.quick_socket import TlsSocket

log = structlog.get_logger(part="gateway")


class Certificate:
    """In gunicorn's place for an `ssl.SSLContext`, of which its gevent worker needs `wrap_socket`.
    key: None where it is in the certificate's file. StartupError."""

    def __init__(self, certificate: Path, key: Path | None, patience: Patience) -> None:
        self._files = (certificate, key)
        self._patience = patience
        self._seen = self._stamps()
        self._context = self._load()
        self._fault: str | None = None

    def wrap_socket(self, sock: Any, **how: Any) -> TlsSocket:
        """A connection with TLS, whose hands are not yet shaken."""
        made: Any = self._context.wrap_socket(sock, **how, do_handshake_on_connect=False)
        assert isinstance(made, TlsSocket)
        return made

    def look(self) -> None:
        """Take over files that have changed. While they cannot be used, what held goes on."""
        now = self._stamps()
        if now == self._seen and self._fault is None:
            return
        try:
            self._context = self._load()
        except StartupError as error:
            if error.message != self._fault:
                log.error(
                    "a changed certificate cannot be used; the old one stays", error=error.message
                )
            self._fault, self._seen = error.message, now
            return
        self._fault, self._seen = None, now
        log.info("the certificate was read again", file=str(self._files[0]))

    def _stamps(self) -> Any:
        return stamps(path for path in self._files if path is not None)

    def _load(self) -> ssl.SSLContext:
        context = tls.server_context(*self._files)
        context.sslsocket_class = functools.partial(TlsSocket, self._patience)  # type: ignore[assignment]
        return context
